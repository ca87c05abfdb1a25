"""Technical quality of pictures and videos, measured without a model."""
