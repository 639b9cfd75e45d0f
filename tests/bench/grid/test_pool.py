"""What a cell needs is checked when it is said."""

from __future__ import annotations

import pytest

from inscl.bench.grid.pool import Needs
from inscl.errors import ConfigError


def test_needs_are_said_as_a_person_would() -> None:
    assert str(Needs()) == "1 CPU"
    assert str(Needs(cpus=4, gpus=0.5, memory=16)) == "4 CPUs, 0.5 GPU, 16 GiB of memory"


def test_every_number_out_of_range_is_named_by_its_option() -> None:
    with pytest.raises(ConfigError) as caught:
        Needs(cpus=0, gpus=1.5, memory=-1)
    assert [problem.key for problem in caught.value.problems] == ["--cell-cpus", "--cell-gpus", "--cell-memory"]
