"""Cut clips out of a video: exactly, by copying, or by both."""
