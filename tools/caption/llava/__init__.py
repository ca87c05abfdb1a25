"""Captions from vision-language models that transformers loads: LLaVA and its relatives."""
