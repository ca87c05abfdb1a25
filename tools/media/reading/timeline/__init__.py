"""Frames of a video and their times, from its packets, without decoding."""
