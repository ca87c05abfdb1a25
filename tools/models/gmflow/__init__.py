"""GMFlow, the optical flow network of UniMatch, for weights of its own published form."""
