"""Make new files of the files of a table: resized, cropped, cut into frames, moved into mp4."""
