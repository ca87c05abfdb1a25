"""Duplicates: copies of images and videos found by perceptual hashes over time, or by CLIP features."""
