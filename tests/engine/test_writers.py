"""Who writes replay: a real server on loopback, and the model as it came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import inscl
from asked_rows import by, marked
from chat_server import Server, server, surroundings
from inscl.config.loading import load_config
from inscl.contract import Example, Question
from inscl.contract.seams import NullProgress
from inscl.engine.parts import Parts
from inscl.engine.writers import by_encoder, by_language_model
from inscl.errors import ConfigError, EndpointError
from inscl.storage.files.atomic import read_jsonl
from streams import toy_config, toy_stream

__all__ = ["server", "surroundings"]


def reply(text: str) -> tuple[int, dict[str, str], str]:
    return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [{"message": {"content": text}}]})


def said(request: dict[str, Any]) -> str:
    return str(request["messages"][0]["content"])


def test_each_question_is_asked_once_ever_and_an_empty_answer_once_more(server: Server) -> None:
    server.script = [lambda request: reply("" if said(request) == "mute" else f" {said(request)}! ")]
    write = by_language_model({"model": "m", "base_url": server.url, "concurrency": 1}, NullProgress())
    texts = [Question("one", "with input"), Question("mute"), Question("one", "with input")]
    for _ in range(2):
        assert write(texts, 9) == ["one\n\nwith input!", "", "one\n\nwith input!"]
    assert [said(request) for request in server.requests] == ["one\n\nwith input", "mute", "mute"]
    assert {request["temperature"] for request in server.requests} == {0}


def test_a_server_that_cannot_be_asked_is_told_and_a_wrong_field_before(server: Server) -> None:
    server.script = [(401, {}, "no")]
    write = by_language_model({"model": "m", "base_url": server.url}, NullProgress())
    with pytest.raises(EndpointError, match="401"):
        write([Question("one")], 9)
    with pytest.raises(ConfigError, match=r"writer\.base_ur"):
        by_language_model({"model": "m", "base_ur": server.url}, NullProgress())


def test_a_run_replays_what_a_server_wrote_and_its_own_model_answered(
    server: Server, tiny_model: Path, tmp_path: Path
) -> None:
    numbers = iter(range(1000))
    server.script = [lambda request: reply(f"made{next(numbers)}")]
    params = {"writer": {"model": "big", "base_url": server.url, "concurrency": 1}}
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run", strategy="pseudo", params=params)
    run = inscl.run(config)
    assert server.requests
    assert all("Instruction: " in said(request) for request in server.requests)
    sent = json.dumps(server.requests)
    rows = [row for file in (tmp_path / "stream").iterdir() for row in read_jsonl(file)]
    assert not [row["input"] for row in rows if row["input"] in sent]
    replayed = [
        row
        for stage in ("02-backwards", "03-length")
        for row in read_jsonl(run.path / "stages" / stage / "replay.jsonl")
    ]
    assert all(row["input"].startswith("made") and row["provenance"]["writer"] == "big" for row in replayed)


def test_the_model_as_it_came_writes_what_it_would_have_written_before(tiny_model: Path, tmp_path: Path) -> None:
    config = load_config(toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run", strategy="pseudo"))
    parts, asked = Parts.of(config), [Question("Do the upper job.", "word"), Question("Say", "more")]
    before = parts.answers(asked, 5)
    write = parts.writer("base")
    (task, *_) = inscl.load_stream(tmp_path / "stream").tasks
    parts.taught.learn(task, inscl.replay.ReplayPlan.nothing(task.name))
    assert write(asked, 5) == before


def test_use_cases_are_those_that_the_model_named_and_nonsense_is_none(server: Server) -> None:
    def answer(said: str, nonce: str, texts: dict[str, str]) -> str:
        if texts["input"] == "odd":
            return "Let me think."
        return marked(nonce, use="business letter", skills="- polite tone")

    server.script = [by(answer)]
    encode = by_encoder({"model": "m", "base_url": server.url, "concurrency": 1}, NullProgress())
    rows = [Example("Write a letter.", text, ("Dear Sir",)) for text in ("to a tenant", "to a bank", "odd")]
    for _ in range(2):
        assert encode(rows) == [("business letter", ("polite tone",))]
    assert len(server.requests) == 4  # nonsense is asked about once more, and then never
    assert "Dear Sir" not in json.dumps(server.requests)
    with pytest.raises(ConfigError, match=r"encoder\.base_ur"):
        by_encoder({"model": "m", "base_ur": server.url}, NullProgress())
