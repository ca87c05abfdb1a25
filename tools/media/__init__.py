"""One media file on disk: probe it, decode it, choose its frames, guard the process that does."""
