"""Parts of dual increments: the pool of keys and low-rank pairs, how rows get their increments, and how both learn."""
