"""Clients for language models that serve as tools: an endpoint or a local model."""
