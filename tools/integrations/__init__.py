"""The same stages in other frameworks: DataFlow, LAS and Daft. Their packages are imported here alone."""
