"""EMScore: a caption against a video and against other captions, word by word and as a whole."""
