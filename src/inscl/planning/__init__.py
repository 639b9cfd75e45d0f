"""Planning without training: what `inscl plan` and `inscl tag` need and a run doesn't."""
