"""Ask a model behind an OpenAI-compatible server about rows of a table."""
