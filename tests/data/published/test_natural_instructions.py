from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl.data import load_stream
from inscl.data.orders import ORDERS
from inscl.data.published.natural_instructions import convert
from inscl.data.published.superni_categories import CATEGORIES, categorize
from inscl.errors import DataError


def source(
    category: str, instances: list[tuple[str, list[str]]], language: str = "English", **more: Any
) -> dict[str, Any]:
    return {
        "Contributors": ["somebody"],
        "Categories": [category],
        "Definition": [f" Do what {category} does. "],
        "Input_language": [language],
        "Output_language": ["English"],
        "Instances": [{"id": str(n), "input": given, "output": out} for n, (given, out) in enumerate(instances)],
        "Instance License": ["CC BY 4.0"],
        "Unused": float("nan"),
        **more,
    }


def numbered(prefix: str, count: int) -> list[tuple[str, list[str]]]:
    return [(f"{prefix} {n}", [f"answer {n}", f"another {n}"]) for n in range(count)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    scan = [("walk twice", ["W W", "W, W"]), *numbered("command", 11)]
    again = [("walk twice", ["W, W", "W W"]), *numbered("order", 12)]
    tasks = {
        "task001_scan_all": source("Text to Code", scan),
        "task002_scan_short": source("Text to Code", again, Definition=["Do what Text to Code does."]),
        "task003_toxic": source("Toxic Language Detection", [*numbered("post", 12), ("long " * 999, ["yes"])]),
        "task004_few": source("Sentiment Analysis", [*numbered("review", 8), *numbered("review", 8)]),
        "task005_translate": source("Translation", numbered("text", 30)),
        "task006_french": source("Summarization", numbered("texte", 30), language="French"),
        "task007_aqua": source("Question Answering", numbered("how many", 30)),
    }
    (tmp_path / "checkout" / "tasks").mkdir(parents=True)
    for name, content in tasks.items():
        (tmp_path / "checkout" / "tasks" / f"{name}.json").write_text(json.dumps(content))
    return tmp_path / "checkout"


def test_a_checkout_becomes_a_stream(checkout: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    conversion = convert(
        checkout, tmp_path / "out", per_source_train=8, per_source_test=3, on_progress=lambda *x: seen.append(x)
    )
    assert seen == [(n, 7) for n in range(1, 8)]
    assert conversion.source_tasks == {"Code": 2, "Detection": 1, "Mathematics": 1}
    assert conversion.rows == {"Code": 22, "Detection": 11, "Mathematics": 11}
    assert sorted(conversion.left_out) == ["task004_few", "task005_translate", "task006_french"]
    assert "too few" in conversion.left_out["task004_few"]
    assert "8 of 16" in conversion.left_out["task004_few"]
    assert any("in all" in line and "44 rows" in line for line in conversion.lines())
    stream = load_stream(tmp_path / "out", order="curriculum")
    assert stream.names == ("Code", "Detection", "Mathematics")
    assert [(len(task.train), len(task.test)) for task in stream] == [(16, 6), (8, 3), (8, 3)]
    # "walk twice" stands in both source tasks, its references swapped; one copy at most is in the stream.
    assert not any("train and test" in finding or "twice" in finding for finding in stream.findings)
    example = stream.tasks[1].train[0]
    assert (example.source, example.instruction) == ("task003_toxic", "Do what Toxic Language Detection does.")
    assert len(example.outputs) == 2


def test_all_instances_and_the_same_every_time(checkout: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        conversion = convert(checkout, tmp_path / name, per_source_train=None, per_source_test=None)
    assert (conversion.rows["Code"], conversion.repeated) == (24, 1 + 8)
    assert conversion.rows["Sentiment_Analysis"] == 8
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_instances_of_no_use_are_counted(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "tasks" / "task003_toxic.json"
    content = json.loads(path.read_text())
    kept = {"per_source_train": None, "per_source_test": None, "longest_prompt": 600, "longest_answer": 600}
    before = convert(checkout, tmp_path / "before", **kept).unfit
    odd = [("x" * 900, ["yes"]), ("long answer", ["y" * 900]), ("no answer", [" "]), ("blank first", ["", "maybe"])]
    content["Instances"] += [{"id": f"odd{k}", "input": given, "output": out} for k, (given, out) in enumerate(odd)]
    path.write_text(json.dumps(content))
    conversion = convert(checkout, tmp_path / "out", **kept)
    assert dict(conversion.unfit - before) == {
        "whose prompt is longer than 600 characters": 1,
        "whose answer is longer than 600 characters": 1,
        "without an answer": 1,
    }
    assert "passed over: 1 instances without an answer" in conversion.lines()
    rows = [one for task in load_stream(tmp_path / "out") for one in (*task.train, *task.test)]
    assert [one.outputs for one in rows if one.input == "blank first"] == [("maybe",)]


def test_what_is_no_checkout(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a checkout of allenai/natural-instructions was expected"):
        convert(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(DataError, match="none of its 7 tasks can be used"):
        convert(checkout, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.jsonl").touch()
    with pytest.raises(DataError, match=r"other files \(mine.jsonl\)"):
        convert(checkout, tmp_path / "full")
    broken = checkout / "tasks" / "task003_toxic.json"
    for content, said in (
        ("{", "invalid JSON"),
        ("[]", "missing or empty: Definition"),
        ('{"Definition": ["x"]}', "Instances"),
    ):
        broken.write_text(content)
        with pytest.raises(DataError, match=f"task003_toxic.*{said}"):
            convert(checkout, tmp_path / "out")
    broken.write_text(json.dumps(source("Translation", []) | {"Instances": [{"input": 3, "output": ["x"]}]}))
    with pytest.raises(DataError, match="instance 1: input and output must be text"):
        convert(checkout, tmp_path / "out")


def test_categories() -> None:
    assert tuple(CATEGORIES) == ORDERS["superni16_curriculum"]
    listed = [category for categories in CATEGORIES.values() for category in categories]
    assert len(listed) == len(set(listed)) == 76 - len({"Question Answering", "Translation"})
    passage = ["word " * 60]
    question = "Question Answering"
    assert categorize("task1", question, "Answer from the passage.", passage) == "Closed_QA"
    assert categorize("task1", question, "Answer from the passage.", ["Who is it?"]) == "Open_QA"
    assert categorize("task1", question, "Answer.", ["word " * 40]) == "Open_QA"
    assert categorize("task1", question, "Answer.", ["word " * 100]) == "Closed_QA"
    assert categorize("task1_svamp", question, "Answer from the passage.", passage) == "Mathematics"
    assert categorize("task1", "Translation", "Translate.", passage) is None
