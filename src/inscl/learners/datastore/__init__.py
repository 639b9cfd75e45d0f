"""What Reference Trustable Decoding keeps, searches and mixes."""
