"""Optical flow: how much moves, in Open-Sora's measure and in one that compares videos."""
