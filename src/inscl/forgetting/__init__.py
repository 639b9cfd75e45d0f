"""Which answers a run had and lost, and what they became."""
