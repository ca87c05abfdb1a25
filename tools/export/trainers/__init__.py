"""What each trainer does with a clip, one file a trainer; `tools.export.presets` has them all."""
