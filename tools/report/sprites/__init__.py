"""Pictures of clips: a few frames side by side in one JPEG."""
