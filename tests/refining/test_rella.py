"""Rows with their recent and their retrieved items: as an independent search finds them, with provenance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inscl
from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.data import load_stream
from inscl.data.histories import PAST, History, Item
from inscl.errors import ConfigError, DataError
from inscl.refining.refine_stream import refine_stream
from inscl.refining.rella import ReiT
from inscl.storage.files.atomic import read_jsonl
from inscl.testing import check_refiner

GENRES = ("crime", "comedy", "drama")


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """How often each genre is named, and a constant, which a projection takes away."""
    return np.array([[*(text.count(genre) for genre in GENRES), 50.0] for text in texts], dtype=np.float32)


def row(target: str, *genres: str, number: int = 0) -> Example:
    items = tuple(Item(f"a {genre} film", f"{genre} {place}: 4") for place, genre in enumerate(genres))
    history = History(items, f"a {target} film", f"User {number}.", "Seen:", f"And {target}?")
    metadata = {PAST: history.to_json(), "year": 1998}
    return Example("Will they?", "as read", ("Yes",), "films", options=("Yes", "No"), metadata=metadata)


ROWS = [
    row("crime", "crime", "drama", "crime", "comedy", "drama"),
    row("drama", "drama", "comedy", number=1),
    row("comedy", number=2),
]


def shown(text: str) -> list[str]:
    return [line.partition(":")[0] for line in text.partition("Seen:\n")[2].partition("\n\n")[0].splitlines()]


@pytest.mark.parametrize("factory", [lambda: ReiT(embedder=embed), lambda: ReiT(0, "retrieved", embed)])
def test_the_contract_is_kept(factory: Any) -> None:
    check_refiner(factory)


def test_each_row_becomes_its_recent_and_its_retrieved_version() -> None:
    first, second, third = ReiT(k=2, embedder=embed).refine(ROWS)
    assert [one.outcome for one in (first, second, third)] == ["replaced"] * 3
    assert [shown(made.example.input) for made in first.made] == [["comedy 3", "drama 4"], ["crime 0", "crime 2"]]
    # With no more items than are shown, and with none, both are the same and stand once.
    assert [shown(made.example.input) for made in second.made] == [["drama 0", "comedy 1"]]
    assert [made.example.input for made in third.made] == ["User 2.\n\nAnd comedy?"]
    for made in (*first.made, *second.made):
        assert made.example.outputs == ("Yes",)
        assert made.example.options == ("Yes", "No")
        assert made.example.metadata == {"year": 1998}
    assert [made.facts["shown"] for made in first.made] == ["recent", "retrieved"]


def test_a_conversation_stays_as_it_is_and_is_told_why() -> None:
    conversation = replace(ROWS[0], turns=(Turn("user", "And crime?"), Turn("assistant", "Yes")))
    (outcome,) = ReiT(k=2, embedder=embed).refine([conversation])
    assert (outcome.outcome, outcome.made) == ("kept", ())
    assert "a conversation" in outcome.reason


def test_rows_without_a_history_stay_and_are_told(tmp_path: Path) -> None:
    plain = [replace(one, metadata={"year": 1998}) for one in ROWS]
    for outcome in ReiT(k=2, embedder=embed).refine(plain):
        assert (outcome.outcome, outcome.made) == ("kept", ())
        assert "stream.metadata: [past]" in outcome.reason
    # A stream whose rows have one, but whose settings don't name the column.
    (tmp_path / "films").mkdir()
    for split, rows in (("train", ROWS[:2]), ("test", ROWS[2:])):
        lines = [{"instruction": one.instruction, "output": "Yes", "input": one.input, **one.metadata} for one in rows]
        text = "".join(json.dumps({**line, "input": f"{split} {k}"}) + "\n" for k, line in enumerate(lines))
        (tmp_path / "films" / f"{split}.jsonl").write_text(text)
    stream = load_stream(tmp_path, refine=[{"name": "rella", "params": {"k": 2, "embedder": "ngrams"}}])
    (told,) = [finding for finding in stream.findings if "refined by rella" in finding]
    assert "2 kept, 0 replaced" in told
    assert "2 of them because nothing could be made of them: it has no history" in told
    named = load_stream(tmp_path, metadata=["past"], refine=[{"name": "rella", "params": {"embedder": "ngrams"}}])
    (told,) = [finding for finding in named.findings if "refined by rella" in finding]
    assert "2 replaced" in told
    assert "no history" not in told


def test_retrieval_is_that_of_a_plain_search_over_principal_components() -> None:
    rng = np.random.default_rng(3)
    table: dict[str, NDArray[np.float32]] = {}

    def made_up(texts: Sequence[str]) -> NDArray[np.float32]:
        for text in texts:
            table.setdefault(text, (rng.normal(size=6) * [5, 4, 3, 1, 1, 1]).astype(np.float32))
        return np.stack([table[text] for text in texts])

    items = tuple(Item(f"text {k}", f"{k}:") for k in range(12))
    history = History(items, "the target", heading="Seen:")
    refiner = ReiT(k=4, show="retrieved", embedder=made_up, dimensions=3)
    (outcome,) = refiner.refine([Example("i", "x", ("y",), metadata={PAST: history.to_json()})])
    names = [*(item.text for item in items), "the target"]
    whole = np.stack([table[name] for name in names]).astype(np.float64)
    centred = whole - whole.mean(0)
    axes = np.linalg.svd(centred)[2][:3]
    reduced = centred @ axes.T
    cosines = reduced[:-1] @ reduced[-1] / np.linalg.norm(reduced[:-1], axis=1)
    assert shown(outcome.made[0].example.input) == [str(k) for k in sorted(np.argsort(-cosines)[:4])]


@pytest.mark.parametrize(
    ("show", "expected"), [("recent", ["comedy 3", "drama 4"]), ("retrieved", ["crime 0", "crime 2"])]
)
def test_one_version_alone(show: Any, expected: list[str]) -> None:
    outcome = next(iter(ReiT(2, show, embed).refine(ROWS)))
    assert [shown(made.example.input) for made in outcome.made] == [expected]


def test_rows_without_a_history_stay_and_a_wrong_one_is_told() -> None:
    plain = Example("i", "x", ("y",))
    assert [one.outcome for one in ReiT(embedder=embed).refine([plain, ROWS[0]])] == ["kept", "replaced"]
    with pytest.raises(DataError, match="is no history: it is list"):
        list(ReiT(embedder=embed).refine([Example("i", "x", ("y",), metadata={PAST: []})]))


def test_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        ReiT(-1, "recnet", embed, dimensions=0)  # type: ignore[arg-type]
    assert [problem.key for problem in refused.value.problems] == ["k", "dimensions", "show"]
    assert "did you mean 'recent'" in str(refused.value)


def test_a_stream_is_refined_on_its_way_and_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "films"
    folder.mkdir()
    rows: list[dict[str, Any]] = []
    for example in ROWS:
        plain = {key: value for key, value in example.to_json().items() if key not in ("metadata", "source", "task")}
        rows.append({**plain, **example.metadata, "split": "train"})
    rows.append({"instruction": "Will they?", "input": "And now?", "output": "No", "split": "test"})
    (folder / "films.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    refine: dict[str, Any] = {"name": "rella", "params": {"k": 2, "embedder": "ngrams"}}
    settings = {"path": str(folder), "metadata": [PAST], "options": "given"}
    (task,) = inscl.load_stream({**settings, "refine": [refine]}).tasks
    assert len(task.train) == 4
    (before,) = inscl.load_stream(settings).tasks
    assert [example.provenance["parent"] for example in task.train] == [before.train[at].id for at in (0, 0, 1, 2)]
    assert task.test == before.test
    configuration = tmp_path / "films.yaml"
    configuration.write_text(json.dumps({"stream": {**settings, "options": "found"}}))
    done = refine_stream(configuration, tmp_path / "out", "rella", refine["params"])
    assert done.counts == {"films": {"kept": 0, "replaced": 3, "added": 1, "rejected": 0}}
    written = [one for one in read_jsonl(tmp_path / "out" / "tasks" / "films.jsonl") if one["split"] == "train"]
    assert [one["input"] for one in written] == [example.input for example in task.train]
    assert not any(PAST in one for one in written)
