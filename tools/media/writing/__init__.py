"""Write a video: encoders, exact and copying cutters, sound, and files that appear whole or not at all."""
