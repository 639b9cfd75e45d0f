from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from inscl.llm.endpoint import ChatEndpoint
from inscl.llm.questions import Questions
from inscl.llm.structured import json_parser, json_schema


class Grade(BaseModel):
    points: int = Field(ge=0, le=10)
    why: str


GOOD = '{"points": 3, "why": "short"}'


@pytest.mark.parametrize("answer", [GOOD, f"```json\n{GOOD}\n```", f"I [really] say {GOOD}. Or {{}}?"])
def test_the_first_value_is_read_wherever_it_stands(answer: str) -> None:
    assert json_parser(Grade)(answer) == Grade(points=3, why="short")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("three", "not valid JSON"),
        ('{"points": 3, "why": {"x": 1}', "not valid JSON"),
        ('[{"points": 3, "why": "cut off"}, {"po', "not valid JSON"),
        ('{"points": 11, "why": "x"}', "points: .*less than or equal to 10"),
        ('{"points": -1}', "points: .*; why: Field required"),
    ],
)
def test_what_is_wrong_is_said_for_the_model_to_read(answer: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        json_parser(Grade)(answer)


def test_any_type_that_pydantic_knows_is_a_form() -> None:
    assert json_parser(list[str])('["a", "b"]') == ["a", "b"]
    assert json.loads(json_schema(list[str])) == {"type": "array", "items": {"type": "string"}}


def test_a_server_s_answer_of_another_form_is_asked_for_once_more_with_the_reason(server, tmp_path: Path) -> None:
    def said(content: str):
        return 200, {}, json.dumps({"choices": [{"message": {"content": content}}]})

    server.script = [said('{"points": 99, "why": "half \ud800"}'), said(GOOD)]
    asked = Questions(
        model=ChatEndpoint("m", server.url),
        kind="grades/1",
        prompt=lambda text: f"Grade {text}",
        parse=json_parser(Grade),
        encode=lambda grade: grade.model_dump_json().encode(),
        decode=Grade.model_validate_json,
        repeat="No: {reason}",
        doing="grading",
        remedy="grade yourself",
        cache=tmp_path / "grades.sqlite",
    )
    assert asked.ask(["this"]) == {"this": Grade(points=3, why="short")}
    _, before, again = server.requests[1]["messages"]
    assert before["content"] == '{"points": 99, "why": "half \ufffd"}'
    assert "points: " in again["content"]
    assert "less than or equal to 10" in again["content"]
    assert len(server.requests) == 2
