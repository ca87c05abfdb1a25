"""How well the sound of a video fits what is said of it, or what is seen in it."""
