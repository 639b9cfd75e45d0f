"""Parts of context-aware prompt tuning: the tokens of a context, how they are tuned, and their files."""
