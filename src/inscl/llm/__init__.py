"""Questions to a language model that serves a tool: an endpoint or a local model."""
