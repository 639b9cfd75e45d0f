from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Stream, Task
from inscl.data import load_stream
from inscl.errors import ConfigError, DataError

SUPERNI = Path(__file__).parents[3] / "shared" / "superni16"


def rows(start: int, count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"instruction": "Add one", "input": str(n), "output": str(n + 1), **more} for n in range(start, start + count)
    ]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def sizes(stream: Stream) -> dict[str, tuple[int, int]]:
    return {task.name: (len(task.train), len(task.test)) for task in stream}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "s" / "b.jsonl", rows(0, 10, split="train") + rows(10, 5, split="test"))
    write(tmp_path / "s" / "a.JSONL", rows(100, 10, split="train") + rows(110, 5, split="test"))
    write(tmp_path / "s" / "c" / "train.jsonl", rows(200, 4))
    write(tmp_path / "s" / "c" / "test.jsonl", rows(300, 2))
    write(tmp_path / "s" / ".hidden.jsonl", rows(0, 1))
    (tmp_path / "s" / "README.md").write_text("about")
    return tmp_path / "s"


def test_a_folder_is_a_stream_sorted_by_name(folder: Path) -> None:
    stream = load_stream(folder)
    assert sizes(stream) == {"a": (10, 5), "b": (10, 5), "c": (4, 2)}
    assert (stream.name, stream.findings) == ("s", ())
    example = stream.tasks[1].train[2]
    assert (example.task, example.source) == ("b", "b.jsonl:3")
    assert load_stream(stream) is stream
    (folder / "notes.txt").write_text("x")
    assert load_stream(folder).findings == ("passed over in s, no data files: notes.txt",)


def test_a_folder_of_split_files_is_one_task(folder: Path) -> None:
    assert sizes(load_stream(folder / "c")) == {"c": (4, 2)}
    write(folder / "c" / "validation.jsonl", rows(400, 3))
    stream = load_stream(folder / "c")
    assert sizes(stream) == {"c": (4, 2)}
    assert stream.findings == ("split left out: validation of c, 3 rows; it has a test split",)
    (folder / "c" / "test.jsonl").unlink()
    stream = load_stream(folder / "c")
    assert sizes(stream) == {"c": (4, 3)}
    assert "validation split is used" in stream.findings[0]


def test_a_single_file_with_a_task_column_is_several_tasks(tmp_path: Path) -> None:
    lines = [
        *rows(0, 4, task="x", split="train"),
        *rows(4, 2, task="y", split="train"),
        *rows(6, 2, task="x", split="dev"),
    ]
    path = write(tmp_path / "all.jsonl", [*lines, *rows(8, 2, task="y", split="Test")])
    assert sizes(load_stream(path)) == {"x": (4, 2), "y": (2, 2)}
    assert sizes(load_stream(path, columns={"task": "="})) == {"all": (6, 2)}
    bad = write(tmp_path / "bad.jsonl", [*rows(0, 3), *rows(3, 1, task="../up")])
    with pytest.raises(DataError, match=r"bad.jsonl, line 4.*path"):
        load_stream(bad)


def test_two_tasks_of_one_name(folder: Path) -> None:
    write(folder / "B.jsonl", rows(500, 5))
    with pytest.raises(DataError, match=r"'B'.*'b' differ by case"):
        load_stream(folder)
    (folder / "B.jsonl").unlink()
    (folder / "b.json").write_text(json.dumps(rows(500, 5)))
    with pytest.raises(DataError, match=r"two tasks are named 'b'.*b\.json.*b\.jsonl"):
        load_stream(folder)


def test_a_yaml_list_is_a_stream_with_an_order(folder: Path) -> None:
    (folder.parent / "mine.yaml").write_text(
        """
        - s/b.jsonl
        - {name: first, path: s/a.JSONL, max_new_tokens: 7}
        - {name: other, train: s/c/train.jsonl, test: s/c/test.jsonl, columns: {instruction: "=Count"}}
        """
    )
    stream = load_stream(folder.parent / "mine.yaml")
    assert sizes(stream) == {"b": (10, 5), "first": (10, 5), "other": (4, 2)}
    assert [task.max_new_tokens for task in stream] == [None, 7, None]
    assert stream.name == "mine"
    assert stream.tasks[2].instructions == ("Count",)
    assert {example.task for example in stream.tasks[1].test} == {"first"}


def test_every_mistake_of_a_yaml_list_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("- {nmae: x, path: a}\n- 3\n- {name: y}\n- {path: a, max_new_tokens: 0}\n")
    with pytest.raises(ConfigError) as caught:
        load_stream(tmp_path / "s.yaml")
    assert len(caught.value.problems) == 4
    assert "did you mean 'name'" in str(caught.value)


def test_a_section_of_a_configuration(folder: Path) -> None:
    section = {"path": str(folder), "order": ["c", "a"], "train_per_task": 3, "columns": None, "leaks": "error"}
    stream = load_stream(section, seed=1)
    assert sizes(stream) == {"c": (3, 2), "a": (3, 5)}
    assert stream.findings == ("left out, not in the order: b",)
    (folder.parent / "run.yaml").write_text(f"stream: {{path: {folder}, order: [b]}}\nseed: 3\n")
    assert sizes(load_stream(folder.parent / "run.yaml")) == {"b": (10, 5)}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"pth": "x", "path": "demo"}, "did you mean 'path'"),
        ({}, "a path was expected"),
        ({"path": "demo", "leaks": "maybe"}, "error, drop or allow"),
        ({"path": "demo", "train_per_task": 0}, "1 or more"),
        ({"path": "demo", "test_share": 1.0}, "between 0 and 1"),
        ({"path": 3}, "a path or a list"),
    ],
)
def test_settings_that_can_not_be(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_stream(section)


def test_held_out_by_content_whatever_the_order_of_rows(tmp_path: Path) -> None:
    forward, backward = rows(0, 60), rows(0, 60)[::-1]
    one = load_stream(write(tmp_path / "x.jsonl", forward))
    two = load_stream(write(tmp_path / "x.jsonl", backward), seed=9)
    assert {e.id for e in one.tasks[0].test} == {e.id for e in two.tasks[0].test}
    assert 4 <= len(one.tasks[0].test) <= 22
    assert "held out by content" in one.findings[0]
    assert len(load_stream(write(tmp_path / "x.jsonl", forward), test_share=0.5).tasks[0].test) > len(one.tasks[0].test)


def test_samples_are_spread_over_sources_and_follow_the_seed(tmp_path: Path) -> None:
    lines = [row for k in range(6) for row in rows(100 * k, 20, source_task=f"source{k}", split="train")]
    path = write(tmp_path / "x.jsonl", [*lines, *rows(900, 3, split="test")])
    first = load_stream(path, train_per_task=12).tasks[0]
    assert sorted(example.source for example in first.train) == [f"source{k}" for k in range(6) for _ in range(2)]
    assert load_stream(path, train_per_task=12).fingerprint == load_stream(path, train_per_task=12).fingerprint
    assert load_stream(path, train_per_task=12, seed=1).tasks[0].train != first.train
    assert len(load_stream(path, train_per_task=1000).tasks[0].train) == 120


def test_leaks_stop_unless_allowed_and_are_named(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    a = write(tmp_path / "s" / "a.jsonl", rows(0, 5, split="train") + rows(90, 2, split="test"))
    write(tmp_path / "s" / "b.jsonl", rows(10, 5, split="train") + rows(2, 1, split="test"))
    where = r"train of a \(a.jsonl, line 3\) and test of b \(b.jsonl, line 6\)"
    with pytest.raises(DataError, match=rf"one test example stands in train too:\n.*'2' in {where}\n.*leaks: drop"):
        load_stream(tmp_path / "s")
    kept = load_stream(tmp_path / "s", leaks="allow")
    assert sizes(kept) == {"a": (5, 2), "b": (5, 1)}
    dropped = load_stream(tmp_path / "s", leaks="drop", train_per_task=4)
    assert sizes(dropped) == {"a": (4, 2), "b": (4, 1)}
    assert "2" not in {example.input for example in dropped.tasks[0].train}
    assert kept.findings[0].startswith("in train and test, kept: '2' in")
    assert dropped.findings[0].startswith("in train and test, train copy left out: '2' in")
    write(a, rows(2, 1, split="train") + rows(90, 2, split="test"))
    with pytest.raises(DataError, match="every train example of the task 'a'"):
        load_stream(tmp_path / "s", leaks="drop")


def test_duplicates_are_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    write(
        tmp_path / "s" / "a.jsonl", [*rows(0, 3, split="train"), *rows(1, 1, split="train"), *rows(9, 1, split="test")]
    )
    write(
        tmp_path / "s" / "b.jsonl",
        [*rows(20, 3, split="train"), *rows(0, 1, split="train"), *rows(29, 1, split="test")],
    )
    stream = load_stream(tmp_path / "s")
    assert sizes(stream) == {"a": (4, 1), "b": (4, 1)}
    assert stream.findings == (
        "in two tasks: '0' in train of a (a.jsonl, line 1) and train of b (b.jsonl, line 4)",
        "twice in one split: '1' in train of a (a.jsonl, line 2) and train of a (a.jsonl, line 4)",
    )


def test_the_same_references_in_another_order_are_the_same(tmp_path: Path) -> None:
    one = {"instruction": "Say", "input": "x", "output": ["a", "b"], "split": "train"}
    path = write(
        tmp_path / "a.jsonl", [one, *rows(0, 2, split="train"), {**one, "output": ["b", "a"], "split": "test"}]
    )
    with pytest.raises(DataError, match="in train too"):
        load_stream(path)
    other = {**one, "output": ["a", "c"], "split": "test"}
    assert sizes(load_stream(write(tmp_path / "b.jsonl", [one, *rows(0, 2, split="train"), other]))) == {"b": (3, 1)}


def test_the_demo_can_be_ordered_and_sampled() -> None:
    whole = load_stream("demo")
    names = whole.names[:2][::-1]
    part = load_stream("demo", order=list(names), train_per_task=9, test_per_task=3)
    assert sizes(part) == dict.fromkeys(names, (9, 3))
    assert set(part.tasks[0].train) <= set(whole.tasks[1].train)


def test_fingerprints_follow_content_order_split_and_name(tmp_path: Path) -> None:
    from inscl.contract import Example

    a, b = Example("x", "", ("1",)), Example("x", "", ("2",))
    tasks = [Task("t", (a, b)), Task("t", (b, a)), Task("t", (a,), (b,)), Task("u", (a, b)), Task("t", (a,))]
    streams = [Stream((tasks[0], tasks[3])), Stream((tasks[3], tasks[0]))]
    prints = [thing.fingerprint for thing in (*tasks, *streams)]
    assert len(set(prints)) == len(prints)
    moved = Example("x", "", ("1",), task="other", source="elsewhere:3")
    assert Task("t", (moved, b)).fingerprint == prints[0]
    assert load_stream(write(tmp_path / "a.jsonl", rows(0, 9))).tasks[0].name == "a"


@pytest.mark.skipif(not SUPERNI.is_dir(), reason="the sample of Super-NaturalInstructions is not here")
def test_the_leaks_and_repeats_of_superni16_are_found_in_the_whole_data() -> None:
    with pytest.raises(DataError, match="2 test examples stand in train too"):
        load_stream(SUPERNI, train_per_task=2)
    stream = load_stream(SUPERNI, order="curriculum", leaks="drop", train_per_task=96, test_per_task=24)
    assert len(stream) == 16
    assert set(sizes(stream).values()) == {(96, 24)}
    leaks = [finding for finding in stream.findings if finding.startswith("in train and test")]
    assert len(leaks) == 2
    assert all("task126_scan" in leak and "task128_scan" in leak and "Code.parquet, line" in leak for leak in leaks)
    kinds = Counter(finding.split(": ")[0] for finding in stream.findings if finding not in leaks)
    assert kinds.pop("twice in one split") == 1
    assert {kind for kind in kinds if not kind.startswith("task ")} == {f"{name}.parquet" for name in stream.names}
    assert "Code.parquet: not used: license (720 rows)" in stream.findings
    assert set(kinds.values()) == {1}
    classification = stream.tasks[0]
    assert len({example.source for example in classification.train}) == 96
    assert len({example.source for example in classification.test}) == 24
    assert {e.source for e in classification.test} <= {e.source for e in classification.train}
