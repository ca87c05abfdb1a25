"""Turn a folder of raw videos into a training-ready table of clips."""

from tools.base import moved

__version__ = "0.1.0"

moved.install()
