"""Remarks on the times of a file, for those who read tables and open no file themselves."""

TIMING_REMARKS = {
    "repaired": "damaged times were interpolated between their neighbours",
    "restarted": "the clock restarts within the file; the parts were joined",
}
"""Remark about a file whose `tools.media.reading.timeline.packets.PacketIndex.timing` is not ok."""
