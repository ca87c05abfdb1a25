"""Problems of captions that show in their text and in other columns."""
