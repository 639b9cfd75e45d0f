"""Converters from the layouts of published benchmarks; only `inscl data` needs them."""
