"""CLIP-IQA: quality and other attributes of pictures by pairs of opposite prompts."""
