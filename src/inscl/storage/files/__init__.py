"""Atomic writes, checksums, locks, caches."""
