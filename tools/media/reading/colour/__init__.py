"""What a stream says of its colours, and HDR as SDR."""
