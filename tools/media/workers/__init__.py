"""Worker processes with limits on time and memory, and shared memory for their results."""
