"""Turn a folder of raw videos into a training-ready table of clips."""
