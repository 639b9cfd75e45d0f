"""Demonstrations of in-context learning: how they are chosen, one way a file; how they are shown; what is kept."""
