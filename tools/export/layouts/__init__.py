"""Where each trainer looks for clips and captions, and its own configuration beside them."""
