"""The scorers as LAS (Volcano Engine's data lake) has them: VideoQualityScore, and las_udf."""
