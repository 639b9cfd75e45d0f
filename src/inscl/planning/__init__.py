"""Work on data without training: what `inscl plan`, `tag` and `embed` need and a run doesn't, and refining on Ray."""
