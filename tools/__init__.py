"""Turn a folder of raw videos into a training-ready table of clips."""

__version__ = "0.1.0"
