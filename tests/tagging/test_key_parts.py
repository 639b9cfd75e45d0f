"""Key parts of instructions by a language model behind a real loopback server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.contract.key_parts import masked
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.kpig import KPIG
from inscl.tagging.key_parts import KeyParts
from inscl.testing import made_task


def completion(content: str) -> tuple[int, dict[str, str], str]:
    message = {"role": "assistant", "content": content}
    return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [{"index": 0, "message": message}]})


def finder(server: Any, tmp_path: Path, **fields: Any) -> KeyParts:
    return KeyParts({"model": "m", "base_url": server.url, "cache": str(tmp_path / "t.sqlite"), **fields})


def test_parts_that_stand_in_the_instruction_letter_for_letter(server: Any, tmp_path: Path) -> None:
    server.script = [lambda request: completion('Sure: ["in French", "in french", " at most ten words ", "in French"]')]
    text = "Answer in French, with at most ten words."
    assert finder(server, tmp_path)([text, text]) == [["in French", "at most ten words"]] * 2
    assert len(server.requests) == 1
    (turn,) = server.requests[0]["messages"]
    assert f"<instruction>\n{text}\n</instruction>" in turn["content"]
    assert finder(server, tmp_path)([text]) == [["in French", "at most ten words"]]
    assert len(server.requests) == 1  # it is kept


def test_an_answer_of_which_nothing_occurs_is_asked_for_once_more(server: Any, tmp_path: Path) -> None:
    answers = iter(['["in Spanish"]', '["in French"]'])
    server.script = [lambda request: completion(next(answers))]
    assert finder(server, tmp_path)(["Say it in French"]) == [["in French"]]
    assert "letter for letter" in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("answers", "requests"),
    [(["[]"], 1), (['["in Spanish"]', "in Spanish"], 2), (["no JSON", '[{"part": "it"}]'], 2)],
)
def test_without_a_part_there_is_none(server: Any, tmp_path: Path, answers: list[str], requests: int) -> None:
    left = iter(answers)
    server.script = [lambda request: completion(next(left))]
    assert finder(server, tmp_path)(["Say it in French"]) == [[]]
    assert finder(server, tmp_path)(["Say it in French"]) == [[]]  # that is kept too
    assert len(server.requests) == requests


def test_kpig_masks_them_and_falls_back_on_clauses(server: Any, tmp_path: Path) -> None:
    server.script = [
        lambda request: completion('["red job"]' if "red job" in request["messages"][0]["content"] else "who knows")
    ]
    seen: list[str] = []

    def losses(examples: list[Example]) -> np.ndarray:
        seen.extend(one.instruction for one in examples)
        return np.array([2.0 if "[...]" in one.instruction else 1.0 for one in examples])

    def task(name: str) -> Task:
        return Task(name, (Example(f"Do the {name} job, please", "x", ("y",), name),))

    memory = Memory((task("red"), task("blue")))
    plan = KPIG(losses, finder(server, tmp_path), parts="tagger").plan(
        memory, made_task("new", 3), Budget(total=2), np.random.default_rng(0)
    )
    found = {share.task: share.reason["masked"] for share in plan.shares}
    assert found == {"red": ["red job"], "blue": ["Do the blue job,"]}
    hidden = masked(memory.tasks[0].train[0], ["red job"])
    assert hidden is not None
    assert hidden.instruction in seen


def test_what_can_not_be_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must contain \{instruction\}"):
        KeyParts("m", prompt="Which parts?")
    with pytest.raises(ConfigError, match=r"llm\.temperature: no such field"):
        KeyParts({"model": "m", "temperature": 0})
