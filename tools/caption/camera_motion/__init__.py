"""Camera motion of a clip: pan, tilt, zoom, roll and shake, from the motion of the background."""
