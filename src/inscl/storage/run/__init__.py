"""The folder of a run, stage by stage."""
