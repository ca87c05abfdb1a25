"""Text in the picture: how many regions, how much of the frame, and what it says."""
