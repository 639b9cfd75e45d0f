"""Builds the parts that a configuration names; plans, teaches, scores and records stages."""
