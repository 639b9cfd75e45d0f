"""Grids of runs: strategies under one protocol, with intervals."""

from inscl.bench.estimate import estimate
from inscl.bench.experiment import Bench, bench
from inscl.bench.grid import Cell, Grid, StrategyEntry, cells_of, grid_of_stream, load_grid

__all__ = ["Bench", "Cell", "Grid", "StrategyEntry", "bench", "cells_of", "estimate", "grid_of_stream", "load_grid"]
