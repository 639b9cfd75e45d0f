"""Ways to change a model, one a file."""
