"""Which packets of a video are frames, and when each is shown: from the packets, without decoding."""
