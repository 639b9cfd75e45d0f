"""Which runs a comparison has, and their records."""
