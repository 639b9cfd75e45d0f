"""Rows of every form with values that don't belong there: read, put aside or refused, and never lost or a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Example
from inscl.data import load_stream
from inscl.data.columns import FIELDS
from inscl.data.export import Layout, training_row
from inscl.errors import InsclError

COLUMNS = [*(name for usual in FIELDS.values() for name in usual), "prompt", "completion", "chosen", "label", "Output "]
VALUES = ["a", "b", " ", "", None, 1, 1.5, True, False, [], ["a"], ["a", "b"], [["a", "b"]], [None], {"text": ["a"]}]
VALUES += ['["a", "b"]', "a;b", "\ud800", [{"role": "user", "content": "a"}], {"from": "gpt", "value": "a"}]
LAYOUTS: tuple[Layout, ...] = ("alpaca", "messages", "turns")


def said(draw: random.Random, count: int) -> list[dict[str, Any]]:
    turns = []
    for number in range(count):
        turn = {"role": ("user", "assistant")[number % 2], "content": f"turn {number}"}
        turns.append({**turn, draw.choice(["thinking", "name", "role", "content"]): draw.choice(VALUES)})
        if draw.random() < 0.9:
            turns[-1].update(turn)
    return turns


def row(draw: random.Random, form: str, number: int) -> dict[str, Any]:
    answer = draw.choice(["a", "b"])
    row: dict[str, Any] = {
        "alpaca": {"instruction": "do", "input": str(number), "output": answer},
        "dolly": {"instruction": "do", "context": str(number), "response": answer},
        "chat": {"messages": said(draw, draw.choice([2, 4, 6]))},
        "sharegpt": {"conversations": said(draw, 2), "system": f"s{number}"},
        "trl": {"prompt": said(draw, draw.choice([1, 3])), "completion": answer},
        "preference": {"prompt": f"q{number}", "chosen": answer, "rejected": "z"},
    }[form]
    return {**row, draw.choice(COLUMNS): draw.choice(VALUES)} if draw.random() < 0.3 else row


@pytest.mark.parametrize("form", ["alpaca", "dolly", "chat", "sharegpt", "trl", "preference"])
def test_values_that_belong_nowhere(tmp_path: Path, form: str) -> None:
    path, read = tmp_path / "a.jsonl", 0
    for seed in range(60):
        draw = random.Random(f"{form} {seed}")
        rows = [row(draw, form, number) for number in range(draw.randint(4, 14))]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings: dict[str, Any] = {
            "turns": draw.choice(["last", "all"]),
            "reasoning": draw.choice(["drop", "keep"]),
            "options": draw.choice(["found", "none", ["a", "b"]]),
            "columns": draw.choice([None, {"task": "="}, {"instruction": "=Do", "task": "=", "split": "="}]),
        }
        try:
            stream = load_stream(path, leaks="allow", skip_bad_rows=True, **settings)
        except InsclError:
            continue
        read += 1
        kept = [example for task in stream for example in (*task.train, *task.test)]
        left = any(finding.startswith("split left out") for finding in stream.findings)
        assert left or len(kept) + len(stream.rejected) == len(rows)
        for example in kept:
            assert Example.from_json(json.loads(json.dumps(example.to_json()))) == example
            assert not example.turns or (len(example.turns) > 1 and example.turns[-1].role == "user")
            assert len(example.options) != 1
            for layout in LAYOUTS:
                training_row(example, layout)
    assert read > 10
