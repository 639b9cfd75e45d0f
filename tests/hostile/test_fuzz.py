"""A small fixed part of what `benchmarks/fuzz` feeds; the whole of it is counted in benchmarks/results/fuzz.json."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "json_lines", "json_document", "delimited", "parquet", "tidy", "raw_lines", "raw_json", "raw_table", "raw_parquet",
    "raw_yaml", "name", "config", "yaml_text", "overrides", "grid", "section", "llm_answer", "shown_text",
)  # fmt: skip
SLOW = {"tidy": 5, "parquet": 30, "config": 20, "grid": 15, "overrides": 20, "yaml_text": 40, "raw_yaml": 60}


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from fuzz import run
    finally:
        sys.path.remove(str(BENCHMARKS))
    module: ModuleType = run
    return module


def test_every_target_is_here(fuzz: ModuleType) -> None:
    assert set(NAMES) == set(fuzz.TARGETS) == set(fuzz.PARTS) == set(fuzz.mutations.MUTATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_no_traceback_and_no_row_that_goes_missing(fuzz: ModuleType, tmp_path: Path, name: str) -> None:
    for number in range(SLOW.get(name, 100)):
        value = fuzz.mutations.MUTATIONS[name](random.Random(f"tests {number}"))
        assert fuzz.TARGETS[name](value, tmp_path) in {"read", "refused"}


def test_a_row_that_goes_missing_is_noticed(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inscl.data.readers import FORMATS

    read = FORMATS[".jsonl"]
    monkeypatch.setitem(FORMATS, ".jsonl", lambda path: list(read(path))[:-1])
    rows = [{"instruction": "x", "output": str(n)} for n in range(4)]
    with pytest.raises(fuzz.targets.Broken, match="4 rows: 3 kept"):
        fuzz.TARGETS["json_lines"](rows, tmp_path)


def test_the_published_counts() -> None:
    path = BENCHMARKS / "results" / "fuzz.json"
    if not path.exists():
        pytest.skip("the long run has not been made")
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert facts["inputs"] >= 100_000
    assert facts["broken"] == 0
    assert facts["inputs"] == sum(part["inputs"] for part in facts["targets"].values())
