"""A refined stream on disk: it reads as it was, tests included, and the folder says what became of every row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import pytest

from inscl.contract import Example, Stream, Task
from inscl.contract.refined import Refined
from inscl.data import load_stream
from inscl.data.refiner_steps import steps_of
from inscl.errors import ConfigError, DataError, ModelError
from inscl.refining import refine_stream as module
from inscl.refining.deduplicate import Deduplicate
from inscl.refining.difficulty import Student
from inscl.refining.refine_stream import refine_stream
from inscl.storage.files.atomic import read_json, read_jsonl
from pictures import picture
from streams import toy_stream

DEMO = {"threshold": 0.7, "by": "prompt"}


def same(one: Task, other: Task) -> bool:
    return (one.name, tuple(one.train), tuple(one.test), one.max_new_tokens) == (
        other.name,
        tuple(other.train),
        tuple(other.test),
        other.max_new_tokens,
    )


def test_what_is_written_reads_as_if_it_were_refined_while_reading(tmp_path: Path) -> None:
    done = refine_stream("demo", tmp_path / "out", "deduplicate", DEMO)
    expected = load_stream("demo", refine=[{"name": "deduplicate", "params": DEMO}])
    stream = load_stream(tmp_path / "out")
    assert stream.name == "out"
    assert stream.names == expected.names
    assert all(map(same, stream, expected))
    rejected = read_jsonl(done.rejected)
    assert [row["row"]["input"] for row in rejected]
    assert len(rejected) == len(expected.rejected) == sum(counts["rejected"] for counts in done.counts.values())
    summary = read_json(tmp_path / "out" / "refine.json")
    assert summary["complete"]
    assert summary["totals"]["kept"] + len(rejected) == 5 * 240
    assert summary["asked"]["parameters"] == DEMO


def test_conversations_options_and_what_a_refiner_made_survive(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi?"}]
    turns += [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Red or blue?"}]
    lines = [
        {"messages": [*turns, {"role": "assistant", "content": "red"}], "options": ["red", "blue"], "split": "train"},
        {
            "instruction": "Say.",
            "outputs": ["a", "b"],
            "split": "train",
            "provenance": {"parent": ["1", "2"], "refiner": "merge", "version": "3", "how": "merged"},
        },
        {"instruction": "Say.", "output": "c", "provenance": "a web page", "split": "test"},
    ]
    file = tmp_path / "talk.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refine_stream(file, tmp_path / "out", "deduplicate")
    for setting in ("last", "all"):
        before, after = (load_stream(path, turns=setting).tasks[0] for path in (file, tmp_path / "out"))  # type: ignore[arg-type]
        assert same(before, after)
    assert after.train[1].provenance["parent"] == ["1", "2"]
    assert not after.test[0].provenance
    assert after.train[0].turns[2].learn


def test_pictures_come_along(tmp_path: Path) -> None:
    rows = []
    for n in range(6):
        (tmp_path / f"{n}.png").write_bytes(picture(n % 4))
        rows.append({"instruction": "Name it.", "output": f"thing {n % 4}", "image": f"{n}.png"})
    (tmp_path / "things.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = refine_stream(tmp_path / "things.jsonl", tmp_path / "out", "deduplicate")
    (task,) = load_stream(tmp_path / "out")
    (given,) = load_stream(tmp_path / "things.jsonl")
    assert [example.id for example in task.train] == list(dict.fromkeys(example.id for example in given.train))
    contents = {example.images[0].content for example in (*task.train, *task.test)}
    assert contents == {picture(n) for n in range(4)}
    assert len(list((tmp_path / "out" / "tasks" / "images").iterdir())) == 4
    assert done.page.is_file()


def test_it_goes_on_after_an_interruption_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, names = toy_stream(tmp_path / "data"), ["backwards", "length", "upper"]
    whole = refine_stream(data, tmp_path / "whole", "deduplicate", {"threshold": 0.3})
    (tmp_path / "half").mkdir()
    refine, seen = module.refine_split, []

    def stops(*arguments: object) -> object:
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(arguments)
        return refine(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "refine_split", stops)
    with pytest.raises(KeyboardInterrupt):
        refine_stream(data, tmp_path / "half", "deduplicate", {"threshold": 0.3})
    assert not read_json(tmp_path / "half" / "refine.json")["complete"]
    monkeypatch.undo()
    done = refine_stream(data, tmp_path / "half", "deduplicate", {"threshold": 0.3})
    assert (done.resumed, list(done.counts)) == (("backwards",), names)
    assert refine_stream(data, tmp_path / "half", "deduplicate", {"threshold": 0.3}).resumed == tuple(names)

    def contents(folder: Path) -> dict[str, bytes]:
        files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".lock")
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    assert contents(done.folder) == contents(whole.folder)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    data, out = toy_stream(tmp_path / "data"), tmp_path / "out"
    with pytest.raises(ConfigError, match="holds no refinement"):
        refine_stream(data, data, "deduplicate")
    refine_stream(data, out, "deduplicate")
    with pytest.raises(ConfigError, match="differs in parameters, fingerprint"):
        refine_stream(data, out, "deduplicate", {"threshold": 0.3})
    with pytest.raises(ConfigError, match="expected a folder to write to"):
        refine_stream(data, next(data.iterdir()), "deduplicate")


def test_a_task_that_loses_every_row_is_told_with_the_reason_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, refine = toy_stream(tmp_path / "data"), Deduplicate.refine

    def upper_goes(self: Deduplicate, rows: Sequence[Example]) -> Iterator[Refined]:
        gone = [Refined.reject(row, "it shouts" if k else "it is the first") for k, row in enumerate(rows)]
        return iter(gone) if rows[0].task == "upper" else refine(self, rows)

    monkeypatch.setattr(Deduplicate, "refine", upper_goes)
    with pytest.raises(DataError, match=r"'upper' was rejected, \d+ of \d+ since it shouts: .* deduplicate, or leave"):
        refine_stream(data, tmp_path / "out", "deduplicate")
    monkeypatch.undo()
    assert refine_stream(data, tmp_path / "out", "deduplicate").resumed == ("backwards", "length")


def test_mistakes_leave_nothing_behind(tmp_path: Path) -> None:
    for name, params, told in (("dedupe", {}, "did you mean"), ("deduplicate", {"tresh": 1}, "threshold")):
        with pytest.raises(ConfigError, match=told):
            refine_stream("demo", tmp_path / "out", name, params)
    assert not (tmp_path / "out").exists()


def test_steps_take_streams_that_are_made_in_python() -> None:
    task = Task("t", (Example("Say.", "a", ("b",)), Example("Say.", "a", ("b",))), ())
    assert load_stream(Stream((task,)), refine=["deduplicate"]).tasks == (task,)
    assert steps_of(["deduplicate"])[0].version == "1"


def test_the_page_has_the_ifd_by_a_student_and_a_wrong_one_is_told_first(tiny_model: Path, tmp_path: Path) -> None:
    data = toy_stream(tmp_path / "data")
    with pytest.raises(ModelError, match="nowhere"):
        refine_stream(data, tmp_path / "out", "deduplicate", student=str(tmp_path / "nowhere"))
    assert not (tmp_path / "out").exists()
    done = refine_stream(data, tmp_path / "out", "deduplicate", student=str(tiny_model))
    page = done.page.read_text()
    assert "mean IFD by" in page
    rows = [example for task in load_stream(data) for example in task.train]
    ifd = fmean(Student(str(tiny_model)).ifd([(one.prompt, one.output) for one in rows]))
    assert re.search(rf"<td>before</td>.*<td>{ifd:.3f}</td></tr><tr><td>after", page)
