"""Read a media file: properties, frame times, exact frames chosen by a policy, audio."""
