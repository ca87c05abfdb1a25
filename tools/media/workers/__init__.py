"""Worker processes that may hang, crash or eat memory, and shared memory for what they hand back."""
