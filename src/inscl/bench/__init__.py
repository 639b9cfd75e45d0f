"""Grids of runs: methods under one protocol, with intervals."""

from inscl.bench.grid.estimate import estimate
from inscl.bench.grid.experiment import Bench, bench, power_of_grid
from inscl.bench.grid.grid import Cell, Grid, Method, cells_of, grid_of_stream, load_grid
from inscl.bench.grid.on_ray import RayPool
from inscl.bench.grid.pool import Failure, Needs, Pool
from inscl.bench.grid.slurm import Jobs, write_jobs

__all__ = [
    "Bench",
    "Cell",
    "Failure",
    "Grid",
    "Jobs",
    "Method",
    "Needs",
    "Pool",
    "RayPool",
    "bench",
    "cells_of",
    "estimate",
    "grid_of_stream",
    "load_grid",
    "power_of_grid",
    "write_jobs",
]
