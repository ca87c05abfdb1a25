"""Agreement of caption and pictures by CLIP."""
