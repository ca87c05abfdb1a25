"""What is wrong with a caption, as far as it can be told from its words and from other columns."""
