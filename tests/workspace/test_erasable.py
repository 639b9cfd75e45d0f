"""Erasing follows what refiners made: children go with their parents, wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl import Workspace, load_stream
from inscl.config import kinds
from inscl.contract import Example
from inscl.data.export import write_training_file
from inscl.refining.refine_stream import refine_stream
from inscl.storage.files.atomic import read_jsonl, write_jsonl
from inscl.storage.files.cache import Cache
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import Ledger
from inscl.storage.run.stage_record import Record
from inscl.workspace import erasing
from inscl.workspace.scrubbing import Scrubber
from workspace.conftest import content, everything
from workspace.refiners import Joined, Said
from workspace.stub import Stub

PARENT, CHILD, GRANDCHILD = "Zanzibar-Quokka", "plain marmalade of", "sober gramophone of"
WORDS = (PARENT, CHILD, GRANDCHILD)


def found(text: str, *folders: Path) -> list[str]:
    """Files that hold a text, as UTF-8 or as JSON escapes it."""
    return [name for folder in folders for name, held in everything(folder).items() if text.encode() in held]


def examples_of(workspace: Workspace) -> dict[str, list[Example]]:
    store = MemoryStore(workspace.path / "memory")
    tasks = [store.task(key) for key in store.keys()]  # noqa: SIM118 - not a mapping
    return {task.name: [*task.train, *task.test] for task in tasks}


@pytest.fixture
def secret(data: Callable[..., Path], tmp_path: Path) -> Path:
    path = data("first", word=PARENT)
    path.write_text(path.read_text().replace("Do the first job.", "Do the first job for Xylophonist Vandenplas."))
    return path


@pytest.fixture
def refined(workspace: Workspace, secret: Path, data: Callable[..., Path]) -> Workspace:
    """Stage 1 learns what two refiners made of a secret one after the other; stage 2 replays it."""
    workspace.learn(load_stream(secret, refine=[Said(CHILD), Said(GRANDCHILD)]))
    workspace.learn(data("double"), budget=6)
    inscl.plan_stream(workspace.path / "inscl.yaml", workspace.path / "plans", task="double")
    learned = examples_of(workspace)["first"]
    for layout in ("alpaca", "messages", "turns"):
        write_training_file(workspace.path / "out" / f"{layout}.jsonl", learned, layout)  # type: ignore[arg-type]
    names = [f"{layout}.jsonl" for layout in ("alpaca", "messages", "turns")]
    (workspace.path / "out" / "export.json").write_text(json.dumps({"schema": 1, "files": names}))
    return workspace


def test_what_was_made_of_what_was_made_goes_from_every_file(refined: Workspace, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Cache(cache / "answers.sqlite", "judge").put({"asked": json.dumps({"why": f"{GRANDCHILD} 15. is odd"}).encode()})
    Cache(cache / "answers.sqlite", "judge").put({"other": b"kept"})
    made = [example for example in examples_of(refined)["first"] if example.provenance]
    (tested,) = {
        example.input.startswith(PARENT) for example in examples_of(refined)["first"] if not example.provenance
    }
    assert tested  # test examples are never refined
    assert all(example.input.startswith(GRANDCHILD) for example in made)
    for words in WORDS:
        assert found(words, refined.path)
    before = content(refined.path)
    look = refined.erase(match="Quokkaword", dry_run=True)
    assert content(refined.path) == before
    done = refined.erase(match="Quokkaword")
    assert look.examples == done.examples == {"first": 20}
    assert look.made == done.made == len(made) > 10
    assert look.trained == done.trained
    assert [(one.stage, one.how) for one in done.trained] == [(1, "learned"), (2, "replayed")]
    for words in (*WORDS, "marmalade", "gramophone", "Xylophonist"):
        assert found(words, refined.path, cache) == [], words
    assert Cache(cache / "answers.sqlite", "judge").get(["asked", "other"]) == {"other": b"kept"}
    assert refined.log()[-1].facts["made"] == len(made)
    assert refined.status().problems == ()
    assert refined.erase(match="Quokkaword").examples == {}


def test_a_row_of_an_export_is_known_by_its_provenance(refined: Workspace) -> None:
    """Even where another program has changed its texts."""
    file = refined.path / "out" / "alpaca.jsonl"
    rows = [{**row, "instruction": "x", "input": "y", "output": "z"} for row in read_jsonl(file)]
    write_jsonl(file, rows)
    refined.erase(match="Quokkaword")
    assert read_jsonl(file) == [row for row in rows if not row["provenance"]]


def test_one_parent_takes_its_children_alone(refined: Workspace, tmp_path: Path) -> None:
    number = next(example.input.split()[-1] for example in examples_of(refined)["first"] if example.provenance)
    done = refined.erase(match=f"Quokkaword{number}$")
    assert (done.examples, done.made) == ({"first": 1}, 1)
    assert found(f'{PARENT}word{number}"', refined.path) == []
    left = {example.input for example in examples_of(refined)["first"]}
    assert len(left) == 19
    assert f"{GRANDCHILD} {number}" not in left
    rows = [row["row"]["input"] for row in read_jsonl(refined.path / "stages" / "01-first" / "rejected.jsonl")]
    assert f"{CHILD} {number}" not in rows
    assert len(rows) == 2 * (len([e for e in examples_of(refined)["first"] if e.provenance]))


@pytest.mark.parametrize("step", ["clean_caches", "_counted", "Scrubber._clean_plan", "MemoryStore.erase"])
@pytest.mark.parametrize("asked", [{"task": "upper"}, {"match": "upperword"}])
def test_killed_in_the_middle_it_still_takes_the_same_children(
    step: str, asked: dict[str, Any], workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.learn(data("upper"))
    # Another task, made of the train split of this one, two steps away.
    refined = load_stream(data("upper"), refine=[Said(CHILD), Said(GRANDCHILD)])
    other = replace(refined.tasks[0], name="other", test=load_stream(data("double")).tasks[0].test)
    workspace.learn(replace(refined, tasks=(other,)), name="other")
    look = workspace.erase(**asked, dry_run=True)
    owner, _, name = step.rpartition(".")
    where = {"": erasing, "Scrubber": Scrubber, "MemoryStore": MemoryStore}[owner]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, name, killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.erase(**asked)
    begun = Ledger.read(workspace.path).erasing
    assert begun is not None
    assert begun.made == look.made > 0
    done = workspace.erase(**asked)
    assert (done.examples, done.made, done.trained) == (look.examples, look.made, look.trained)
    for words in ("upperword", CHILD, GRANDCHILD):
        assert found(words, workspace.path) == [], words


def test_killed_in_the_middle_it_knows_the_children_of_originals_that_are_gone_already(
    refined: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    look = refined.erase(match="Quokkaword", dry_run=True)
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "clean_caches", killed)
        with pytest.raises(KeyboardInterrupt):
            refined.erase(match="Quokkaword")
    assert read_jsonl(refined.path / "stages" / "01-first" / "rejected.jsonl") == []
    done = refined.erase(match="Quokkaword")
    assert (done.examples, done.made, done.trained) == (look.examples, look.made, look.trained)
    for words in WORDS:
        assert found(words, refined.path) == [], words


def test_a_line_of_descent_is_followed_to_its_end(workspace: Workspace, tmp_path: Path) -> None:
    rows = [Example("Do it.", text, (text,)) for text in ("first one", "second", "third", "fourth", "apart", "asked")]
    lines = [
        {"instruction": "Do it.", "input": row.input, "output": row.output, "split": "train"}
        | ({"provenance": {"parent": rows[k - 1].id, "refiner": "elsewhere"}} if 0 < k < 4 else {})
        for k, row in enumerate(rows)
    ]
    for name, part in (("late", lines[2:4]), ("early", [*lines[:2], lines[4]])):
        write_jsonl(tmp_path / f"{name}.jsonl", [*part, {**lines[5], "input": f"asked {name}", "split": "test"}])
        workspace.learn(tmp_path / f"{name}.jsonl")
    done = workspace.erase(match="first one")
    assert (done.examples, done.made) == ({"early": 2, "late": 2}, 3)
    assert [[e.input for e in part] for part in examples_of(workspace).values()] == [
        ["asked late"],
        ["apart", "asked early"],
    ]


def test_a_row_of_several_parents_goes_with_any_of_them(workspace: Workspace, data: Callable[..., Path]) -> None:
    workspace.learn(load_stream(data("upper"), refine=[Joined()]))
    before = examples_of(workspace)["upper"]
    (one,) = (example for example in before if example.input == "upperword7")
    named = {example.id for example in before if one.id in json.dumps(example.provenance)}
    assert len(named) == 2
    done = workspace.erase(match="^upperword7$")
    assert (done.examples, done.made) == ({"upper": 3}, 2)
    assert {example.id for example in examples_of(workspace)["upper"]} == {e.id for e in before} - named - {one.id}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Said` by its name."""
    entries, entry = kinds._entries, EntryPoint("said", "workspace.refiners:Said", "inscl.refiners")
    monkeypatch.setattr(
        kinds, "_entries", lambda kind: {**entries(kind), **({"said": entry} if kind == "refiners" else {})}
    )


def test_what_was_refined_on_disk_goes_with_the_task_that_it_was_made_of(
    workspace: Workspace, data: Callable[..., Path], tmp_path: Path, said: None
) -> None:
    workspace.learn(data("upper"))
    refine_stream(data("upper"), tmp_path / "once", "said", {"words": CHILD})
    refine_stream(tmp_path / "once", tmp_path / "twice", "said", {"words": GRANDCHILD})
    workspace.learn(tmp_path / "twice", name="twice", changes=["stream.leaks=allow"])
    workspace.learn(data("double"))
    made = [example for example in examples_of(workspace)["twice"] if example.provenance]
    done = workspace.erase("upper")
    assert done.examples == {"upper": 20, "twice": len(made)}
    assert done.made == len(made) > 10
    assert found(CHILD, workspace.path) == found(GRANDCHILD, workspace.path) == []
    left = examples_of(workspace)
    assert (len(left["double"]), len(left["twice"])) == (20, 20 - len(made))


def test_an_expression_finds_what_was_replaced_before_the_data_came(
    workspace: Workspace, data: Callable[..., Path], tmp_path: Path, said: None
) -> None:
    refine_stream(data("upper"), tmp_path / "once", "said", {"words": CHILD})
    refine_stream(tmp_path / "once", tmp_path / "twice", "said", {"words": GRANDCHILD})
    learned = workspace.learn(tmp_path / "twice")
    made = [example for example in examples_of(workspace)["upper"] if example.provenance]
    assert any(f"{2 * len(made)} rows were set aside" in note for note in learned.notes)
    done = workspace.erase(match="upperword")
    assert (done.examples, done.made) == ({"upper": 20}, len(made))
    assert found(CHILD, workspace.path) == found(GRANDCHILD, workspace.path) == []


def test_what_was_made_of_rows_that_nobody_kept_is_told(
    workspace: Workspace, data: Callable[..., Path], tmp_path: Path, said: None
) -> None:
    refine_stream(data("upper"), tmp_path / "once", "said", {"words": CHILD})
    workspace.learn(tmp_path / "once" / "tasks" / "upper.jsonl")  # a file alone, without the account beside it
    made = [example for example in examples_of(workspace)["upper"] if example.provenance]
    done = workspace.erase(match="upperword", dry_run=True)
    assert (done.examples, done.made) == ({"upper": 20 - len(made)}, 0)
    assert any(f"{len(made)} examples that stay were made from rows" in note for note in done.notes)
    assert not any("examples that stay" in note for note in workspace.erase("upper", dry_run=True).notes)


def test_a_reason_that_quotes_an_erased_example_goes(workspace: Workspace, tmp_path: Path) -> None:
    long = "the order of last week came late and broken " * 6
    texts = [f"{long} Jane Roe", f"{long} jane roe", "Tom is glad"]
    rows = [{"instruction": "Sort.", "input": text, "output": "mail", "split": "train"} for text in texts]
    write_jsonl(tmp_path / "mail.jsonl", [*rows, {**rows[2], "input": "Ann is glad", "split": "test"}])
    workspace.learn(load_stream(tmp_path / "mail.jsonl", refine=["deduplicate"]))
    assert len(found("says nearly the same as", workspace.path)) == 1
    done = workspace.erase(match="Jane Roe")  # not the copy in small letters
    assert (done.examples, done.made) == ({"mail": 1}, 0)
    assert found("the order of last week", workspace.path) == []
    assert len(examples_of(workspace)["mail"]) == 2


def test_what_others_say_too_stays(workspace: Workspace, data: Callable[..., Path], tmp_path: Path) -> None:
    label = "it must be a long label"
    rows = [{"instruction": "Label it.", "input": f"text {k}", "output": label, "split": "train"} for k in range(6)]
    write_jsonl(tmp_path / "label.jsonl", [*rows, {**rows[0], "input": "asked", "split": "test"}])
    workspace.learn(tmp_path / "label.jsonl")
    stage = workspace.path / "stages" / "01-label"
    (row,) = read_jsonl(stage / "predictions" / "label.jsonl")
    record = Record(stage, 1, "label")
    record.write_rows("predictions/label.jsonl", [{**row, "prediction": label}])
    record.finish()
    assert workspace.erase(match="^text 1$").examples == {"label": 1}
    assert len(read_jsonl(stage / "predictions" / "label.jsonl")) == 1
    workspace.erase(match="^text")
    assert read_jsonl(stage / "predictions" / "label.jsonl")  # the test example has that label, too


def test_rows_set_aside_with_a_stage_that_is_begun_stay_but_for_those_that_go(
    workspace: Workspace, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Stub, "answer", killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.learn(load_stream(secret, refine=[Said(CHILD)]))
    stage = workspace.path / "stages" / "01-first"
    rows = read_jsonl(stage / "rejected.jsonl")
    number = rows[0]["row"]["input"].removeprefix(f"{PARENT}word")
    done = workspace.erase(match=f"Quokkaword{number}$")
    assert (done.examples, done.made) == ({"first": 1}, 1)
    assert read_jsonl(stage / "rejected.jsonl") == rows[1:]
    assert [file.name for file in stage.iterdir()] == ["rejected.jsonl"]
    workspace.learn()
    assert read_jsonl(stage / "rejected.jsonl") == rows[1:]
    assert found(f'{CHILD} {number}"', workspace.path) == []


def test_numbers_in_ids_are_not_found(refined: Workspace) -> None:
    ids = "".join(example.provenance["parent"] for example in examples_of(refined)["first"] if example.provenance)
    assert "a1" in ids or "b2" in ids or "c3" in ids
    exports = {file.name: file.read_text() for file in (refined.path / "out").glob("*.jsonl")}
    assert all('"provenance": "{' in text for text in exports.values())
    done = refined.erase(match="a1|b2|c3")
    assert (done.examples, done.files) == ({}, 0)
    assert {file.name: file.read_text() for file in (refined.path / "out").glob("*.jsonl")} == exports
    assert refined.erase(match="in other words", dry_run=True).made == 0
    assert refined.erase(match="in other words", dry_run=True).examples == {
        "first": sum(bool(example.provenance) for example in examples_of(refined)["first"])
    }
