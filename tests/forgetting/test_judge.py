"""The LLM judge over a scripted endpoint; the endpoint itself has its own tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inscl.contract.chat import Completion
from inscl.errors import ConfigError, EndpointError
from inscl.forgetting.judge import LLMJudge
from inscl.llm import settings


class Scripted:
    """Stands for a chat model; answers what `said` makes of the conversation."""

    said: Callable[[Any], str]
    asked: list[Any]

    def __init__(self, model: str, base_url: str | None, **options: Any) -> None:
        self.name = self.fingerprint = model

    def complete(self, messages: Any) -> Completion:
        type(self).asked.append(list(messages))
        return Completion(type(self).said(messages))

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *error: object) -> None: ...

    def give_up(self) -> None: ...


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    Scripted.asked = []
    Scripted.said = staticmethod(lambda messages: "Yes." if "good answer" in messages[0]["content"] else "**no**")
    monkeypatch.setattr(settings, "chat_model", Scripted)
    return Scripted


def test_cases_in_order_each_asked_once_ever(endpoint: type[Scripted], tmp_path: Path) -> None:
    cases = [(f"do {number}", "x", ("good answer", "bad")[number % 2]) for number in range(6)]
    assert LLMJudge("m", cache=tmp_path / "j.sqlite")([*cases, *cases]) == [True, False] * 6
    assert len(endpoint.asked) == 6
    assert LLMJudge("m", cache=tmp_path / "j.sqlite")(cases) == [True, False] * 3
    assert len(endpoint.asked) == 6
    LLMJudge("another", cache=tmp_path / "j.sqlite")(cases)
    assert len(endpoint.asked) == 12


def test_the_three_texts_stand_in_the_question_as_they_are(endpoint: type[Scripted], tmp_path: Path) -> None:
    LLMJudge("m", cache=tmp_path / "j.sqlite")([("say {answer}", "the input", "half \ud800")])
    question = endpoint.asked[0][0]["content"]
    assert "<instruction>\nsay {answer}\n</instruction>" in question
    assert "<input>\nthe input\n</input>\n<answer>\nhalf \ufffd\n</answer>" in question


def test_neither_yes_nor_no_is_asked_once_more(endpoint: type[Scripted], tmp_path: Path) -> None:
    endpoint.said = staticmethod(lambda messages: "yes" if len(messages) == 3 else "Yes and no")
    assert LLMJudge("m", cache=tmp_path / "j.sqlite")([("do", "x", "y")]) == [True]
    endpoint.said = staticmethod(lambda messages: "perhaps")
    with pytest.raises(EndpointError, match=r"judging by m: it answered twice.*neither yes nor no"):
        LLMJudge("m", cache=tmp_path / "j.sqlite")([("do", "x", "z")])
    assert len(endpoint.asked) == 4


def test_all_that_is_wrong_with_the_arguments(endpoint: type[Scripted]) -> None:
    with pytest.raises(ConfigError, match=r"(?s)concurrency.*\{instruction\}.*\{answer\}"):
        LLMJudge("m", concurrency=0, prompt="?")
