"""Readers and batches: texts, tokens, streams."""
