"""Commands that make and edit meta tables."""
