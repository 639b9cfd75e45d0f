"""A language model on this machine: found, loaded, asked and trained."""
