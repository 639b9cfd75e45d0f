"""Embedders, which turn texts into vectors, and a cache for their results."""
