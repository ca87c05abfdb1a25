"""The sound of a file on the clock of its pictures."""
