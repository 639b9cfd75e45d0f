"""Runs that are killed, starved and damaged at every point there is, gone on with, and compared byte for byte."""
