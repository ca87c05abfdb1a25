"""Where the shots of a video begin and end."""
