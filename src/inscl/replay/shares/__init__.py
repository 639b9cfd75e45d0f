"""Splitting a budget over tasks, instructions and examples."""
