"""Read a file: what it is, when each frame is shown, exact frames chosen by policy, and its sound."""
