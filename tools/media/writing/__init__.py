"""Write a video: encoders, exact and copying cutters, sound, and files that are complete or absent."""
