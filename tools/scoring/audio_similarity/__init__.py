"""How well the sound of a video fits its caption, or its pictures."""
