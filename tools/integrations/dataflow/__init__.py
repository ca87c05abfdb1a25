"""The scorers as DataFlow operators, its storage and its language models."""
