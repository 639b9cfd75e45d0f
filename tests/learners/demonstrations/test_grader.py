"""Answers graded by a model behind a real loopback server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl.errors import EndpointError
from inscl.learners.demonstrations.grader import Graded, Grader
from inscl.llm.settings import LLMSettings
from learners.taught import Heard
from llm.conftest import other_server, server, surroundings, waits  # noqa: F401 - fixtures


def completion(content: str) -> tuple[int, dict[str, str], str]:
    message = {"role": "assistant", "content": content}
    return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [{"index": 0, "message": message}]})


def asked(request: dict[str, Any], part: str) -> str:
    return str(request["messages"][0]["content"]).rpartition(f"<{part}>\n")[2].partition(f"\n</{part}>")[0]


def grader(server: Any, tmp_path: Path, heard: Heard | None = None) -> Grader:  # noqa: F811
    settings = LLMSettings("m", server.url, cache=str(tmp_path / "g.sqlite"))
    return Grader(settings, heard)


def test_grades_in_order_each_case_asked_once_ever(server: Any, tmp_path: Path) -> None:  # noqa: F811
    server.script = [lambda request: completion(f"Grade: {len(asked(request, 'answer'))}/10")]
    heard = Heard()
    cases = [Graded("Say it", "x", "y", "a" * (1 + k % 3)) for k in range(6)]
    assert grader(server, tmp_path, heard)([*cases, Graded("Say it", "x", "y", " ")]) == [1, 2, 3, 1, 2, 3, 1]
    assert len(server.requests) == 3  # equal cases once, and an empty answer never
    assert [asked(server.requests[0], part) for part in ("instruction", "input", "right")] == ["Say it", "x", "y"]
    assert grader(server, tmp_path)(cases[:1]) == [1]
    assert len(server.requests) == 3
    assert len([note for note in heard.notes if "graded by m" in note]) == 1


@pytest.mark.parametrize(
    ("said", "mark"), [("7", 7), (" 8.5.", 8.5), ("**9**/10", 9), ("I give it 6 out of 10", 6), ("10", 10)]
)
def test_how_a_grade_may_be_said(server: Any, tmp_path: Path, said: str, mark: float) -> None:  # noqa: F811
    server.script = [lambda request: completion(said)]
    assert grader(server, tmp_path)([Graded("a", "b", "c", "d")]) == [mark]


@pytest.mark.parametrize("said", ["good", "0", "11", "7 or 8", "-"])
def test_what_is_no_grade_is_asked_once_more_and_then_stops(server: Any, tmp_path: Path, said: str) -> None:  # noqa: F811
    server.script = [lambda request: completion(said)]
    with pytest.raises(EndpointError, match="another score than judge"):
        grader(server, tmp_path)([Graded("a", "b", "c", "d")])
    assert len(server.requests) == 2
