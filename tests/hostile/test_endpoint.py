"""A model server that sends elsewhere, never ends, or answers far too much, asked by the tagger and the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chat_server import Server
from inscl.errors import EndpointError, InsclError
from inscl.forgetting.judge import LLMJudge
from inscl.llm.endpoint import ChatEndpoint
from inscl.tagging.llm import LLMTagger

KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"
ENDLESS = ["silence", "drip", "drip_error", "drip_head"]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server that is asked, and one to which it sends."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(ChatEndpoint, "_pause", lambda self, wait: None)
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    first, second = Server(), Server()
    yield first, second
    first.end()
    second.end()


def askers(url: str, folder: Path) -> list[Any]:
    tagger = LLMTagger("m", url, timeout=0.4, max_retries=1, cache=folder / "tags.sqlite")
    judge = LLMJudge("m", url, timeout=0.4, max_retries=1, cache=folder / "judgements.sqlite")
    return [lambda: tagger(["Add one"]), lambda: judge([("Add one", "1", "2")])]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_follows_no_redirect(servers: Any, tmp_path: Path, status: int) -> None:
    asked, elsewhere = servers
    asked.script = [(status, {"Location": f"{elsewhere.url}/chat/completions"}, "")]
    for ask in askers(asked.url, tmp_path):
        with pytest.raises(EndpointError, match="redirects elsewhere") as caught:
            ask()
        assert KEY not in str(caught.value)
    assert len(asked.requests) == 2
    assert elsewhere.requests == elsewhere.keys == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("entry", ENDLESS)
def test_an_answer_that_never_ends_is_given_up(servers: Any, tmp_path: Path, entry: str) -> None:
    asked, _ = servers
    asked.script = [entry]
    for ask in askers(asked.url, tmp_path):
        with pytest.raises(EndpointError, match=r"no whole answer within 0\.4 seconds \(2 tries\)"):
            ask()


def test_an_answer_of_any_size_is_given_up(servers: Any, tmp_path: Path) -> None:
    asked, _ = servers
    asked.script = [(200, {}, b"x" * 3_000_000)]
    for ask in askers(asked.url, tmp_path):
        with pytest.raises(EndpointError, match="more than 2 MiB"):
            ask()


@pytest.mark.parametrize("address", [f"http://user:{KEY}@127.0.0.1:1/v1", f"http://127.0.0.1:1/v1?key={KEY}"])
def test_a_key_in_an_address_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    with pytest.raises(InsclError) as caught:
        LLMTagger("m", address, cache=tmp_path / "tags.sqlite")
    assert KEY not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
