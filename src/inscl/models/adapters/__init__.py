"""Ways to change a model; one file per adapter."""
