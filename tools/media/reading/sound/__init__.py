"""The audio of a file on the clock of its video."""
