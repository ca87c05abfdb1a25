"""Find the shots of videos and cut clips at them."""
