"""Answers of a scripted server to questions about rows, for the tests of refiners."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from chat_server import Server

Entry = Callable[[dict[str, Any]], tuple[int, dict[str, str], str]]


def reply(text: str) -> tuple[int, dict[str, str], str]:
    """A chat completion that took 10 tokens and has 5."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    body = {"choices": [{"message": {"content": text}}], "usage": usage}
    return 200, {"Content-Type": "application/json"}, json.dumps(body)


def by(answer: Callable[[str, str, dict[str, str]], str]) -> Entry:
    """Answers by a function of the question, its code, and the texts between its fences by name."""

    def entry(request: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        said = request["messages"][0]["content"]
        (nonce,) = re.findall(r"\A.*?the\s+code\s+(\w{8}),", said, re.DOTALL)
        fenced = re.findall(rf"<(\w+) {nonce}>\n(.*?)\n</\1 {nonce}>", said, re.DOTALL)
        return reply(answer(said, nonce, dict(fenced)))

    return entry


def marked(nonce: str, **texts: str) -> str:
    """Texts behind their markers, and the end; two underscores in a name are a blank."""
    lines = [line for name, text in texts.items() for line in (f"[[{name.replace('__', ' ')} {nonce}]]", text)]
    return "\n".join([*lines, f"[[end {nonce}]]"])


def llm(server: Server, **more: Any) -> dict[str, Any]:
    """How a refiner names the server's model."""
    return {"model": "m", "base_url": server.url, "concurrency": 1, **more}
