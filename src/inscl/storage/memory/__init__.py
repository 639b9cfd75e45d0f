"""What is kept of learned tasks: an embedded store."""
