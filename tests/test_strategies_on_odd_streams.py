"""Every strategy on streams that nobody thought of: run whole, recorded, reported and put in a table."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl.bench.grid.grid import Cell, cells_of, load_grid
from inscl.bench.grid.records import record_of
from inscl.bench.numbers.summary import summarise
from inscl.bench.show.render import to_csv, to_html, to_latex, to_markdown
from inscl.config import kinds
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.reports import write_report
from inscl.storage.files.atomic import read_json

STRATEGIES = sorted(kinds.available("strategies"))
# A model of random weights may write nothing that can be replayed.
WRITING = [name for name in STRATEGIES if traits_of(kinds.load("strategies", name), StrategyTraits).writes]


def rows(task: str, count: int, start: int = 0) -> list[dict[str, str]]:
    """Examples of three instructions, one of which has most of them."""
    asked = ("Do", "Please do", "Kindly do")
    return [
        {
            "instruction": f"{asked[0 if k % 3 else k % 2 + 1]} the {task} job.",
            "input": f"{task} {k + start}",
            "output": f"{task} answer {k % 4}",
        }
        for k in range(count)
    ]


def stream(folder: Path, tasks: dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]]) -> Path:
    """A folder with a train and a test file a task."""
    for name, splits in tasks.items():
        for split, examples in zip(("train", "test"), splits, strict=True):
            path = folder / name / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in examples), encoding="utf-8")
    return folder


def task(name: str, train: int, test: int = 2) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    return rows(name, train), rows(name, test, start=100)


STREAMS: dict[str, dict[str, Any]] = {
    "one task": {"only": task("only", 8)},
    "two identical tasks": {"first": task("same", 8), "second": task("same", 8)},
    "two identical tasks and another": {"a": task("same", 3), "b": task("same", 3), "c": task("other", 9)},
    "forty tasks": {f"task{k:02d}": task(f"job{k}", 4 + k % 3, 1) for k in range(40)},
    "a task of three examples": {"large": task("large", 12), "tiny": task("tiny", 3, 1), "last": task("last", 8)},
    "a task of one example": {"one": task("one", 1, 1), "large": task("large", 9), "last": task("last", 5)},
}


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Stream -> strategy -> its cell; the learner remembers six answers, so that there is something to forget."""
    folder = tmp_path_factory.mktemp("odd")
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        entries = kinds._entries
        parrot = EntryPoint("parrot", "plugin_package.inscl_plugin_example.parrot:Parrot", "inscl.learners")
        patch.setattr(
            kinds, "_entries", lambda kind: {**entries(kind), **({"parrot": parrot} if kind == "learners" else {})}
        )
        yield {
            name: {cell.method: cell for cell in cells(folder / name.replace(" ", "_"), tasks, model)}
            for name, tasks in STREAMS.items()
        }


def cells(folder: Path, tasks: dict[str, Any], model: Path) -> list[Cell]:
    few = len(tasks) < 10  # what is asked and taught beside the stages takes most of the time
    shared = {
        "stream": {"path": str(stream(folder / "stream", tasks)), "order": list(tasks), "leaks": "allow"},
        "model": {"name": str(model)},
        "replay": {"budget": {"per_task": 2}, "embedder": "ngrams", "tag_embedder": None},
        "training": {"learner": "parrot", "params": {"room": 6}, "batch_size": 4, "epochs": 1},
        "evaluation": {"base": few, "experts": few},
    }
    # The parrot trains nothing, so it has no losses of training to report.
    own = {"measured": {"name": "measured", "strategy": {"name": "measured", "params": {"signal": "probes"}}}}
    methods = [own.get(name, name) for name in STRATEGIES]
    return cells_of(load_grid({"run": shared, "methods": methods, "seeds": 1, "output_dir": str(folder)}))


@pytest.fixture(scope="module")
def records(grids: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Filled by the tests that run the cells, in the order in which they stand here."""
    return {}


LONG = "forty tasks"
# Forty stages of forty runs take minutes: of the long stream all strategies plan every stage, and these run whole.
WHOLE = [
    (name, strategy)
    for name in STREAMS
    for strategy in STRATEGIES
    if name != LONG or strategy in ("none", "inscl", "joint")
]


@pytest.mark.parametrize(("name", "strategy"), WHOLE)
def test_a_strategy_runs_on(name: str, strategy: str, grids: Any, records: dict[tuple[str, str], Any]) -> None:
    cell = grids[name][strategy]
    found = inscl.run(cell.config)
    assert len(found.stream) == len(STREAMS[name])
    last = read_json(next(found.path.glob(f"stages/{len(found.stream):02d}-*")) / "plan.json")
    assert last["strategy"] == strategy
    records[name, strategy] = record = record_of(cell)
    expected = allowed(strategy, [len(splits[0]) for splits in STREAMS[name].values()])
    got = record["cost"]["replayed"]
    assert got <= expected if strategy in WRITING else got == expected
    assert write_report([found.path]).stat().st_size > 1000


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_plans_forty_stages(strategy: str, grids: Any) -> None:
    plans = inscl.plan_stream(grids[LONG][strategy].config)
    assert len(plans) == 40
    sizes = [len(splits[0]) for splits in STREAMS[LONG].values()]
    picked = sum(len(plan.picks) for plan in plans)
    assert picked <= allowed(strategy, sizes) if strategy in WRITING else picked == allowed(strategy, sizes)


def allowed(strategy: str, sizes: list[int]) -> int:
    """Examples replayed over all stages: two for each earlier task, but never more than they have."""
    if strategy == "none":
        return 0
    if strategy == "joint":
        return sum(sizes[:-1])
    if strategy == "full":
        return sum(sum(sizes[:stage]) for stage in range(1, len(sizes)))
    return sum(min(2 * stage, sum(sizes[:stage])) for stage in range(1, len(sizes)))


@pytest.mark.parametrize("name", STREAMS)
def test_they_all_stand_in_a_table(name: str, records: dict[tuple[str, str], Any]) -> None:
    mine = [record for (stream_name, _), record in records.items() if stream_name == name]
    summary = summarise(mine)
    (table,) = summary.tables
    assert {row.method for row in table.rows} == {record["cell"]["method"] for record in mine}
    for render in (to_markdown, to_latex, to_csv, to_html):
        assert all(word in render(summary) for word in ("random", "inscl"))
    repeat = next((row for row in table.rows if row.method == "repeat"), None)
    if repeat is not None and len(STREAMS[name]) > 1:
        assert repeat.costs["steps"].matched


def test_what_was_forgotten_is_told_where_tasks_can_be_told_apart(records: dict[tuple[str, str], Any]) -> None:
    lost = {name: records[name, "none"]["forgotten"] for name, strategy in records if strategy == "none"}
    assert lost["one task"] == lost["two identical tasks"] == {}
    assert set(lost["a task of three examples"]) == {"large", "tiny"}
    assert sum(counts["compared"] for counts in lost["forty tasks"].values()) == 39
