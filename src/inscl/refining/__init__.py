"""Refiners, one per file, and the command that refines a stream on disk.

How a refiner is applied, with provenance and reasons, is in `inscl.data.refined`: reading a stream needs it.
"""
