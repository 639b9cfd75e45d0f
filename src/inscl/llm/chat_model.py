"""Creates a chat model from its name: an endpoint, or a model in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inscl.contract.chat import ChatModel
from inscl.errors import ConfigError, Problem
from inscl.llm.endpoint import ChatEndpoint

__all__ = ["LOCAL", "chat_model"]

LOCAL = "local:"
"""Before a model's name: it runs in this process, offline."""


def chat_model(model: str, base_url: str | None = None, *, request: Mapping[str, Any], **endpoint: Any) -> ChatModel:
    """The chat model of that name.

    Args:
        model: The name that a server knows it by; or ``local:`` and an alias, folder or hub id, as in
            ``local:smollm2-135m``, which needs no server and no key.
        base_url: The server's address up to ``/v1``; None is ``$OPENAI_BASE_URL``, else OpenAI.
        request: Fields of the request body; a local model takes ``max_tokens``, and ``temperature`` if it is 0.
        **endpoint: More arguments of `inscl.llm.endpoint.ChatEndpoint`.

    Raises:
        ConfigError: An address or a field that only a server obeys was given for a local model; all of them at once.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """
    if not model.startswith(LOCAL):
        return ChatEndpoint(model, base_url, request=request, **endpoint)
    problems = [Problem(f"request.{key}", said) for key, said in _not_local(request).items()]
    if base_url is not None:
        problems.append(Problem("base_url", f"is for a server; {model} runs in this process: leave it out"))
    if problems:
        raise ConfigError(problems, f"the model {model}")
    from inscl.llm.local import LocalChatModel

    return LocalChatModel(model.removeprefix(LOCAL), max_tokens=int(request.get("max_tokens") or 256))


def _not_local(request: Mapping[str, Any]) -> dict[str, str]:
    """Fields of a request that a local model would have to ignore, with what is wrong with each."""
    wrong = {
        key: "is obeyed by servers only; a local model takes max_tokens: leave it out"
        for key, value in request.items()
        if value is not None and key not in ("max_tokens", "temperature")
    }
    if request.get("temperature"):
        wrong["temperature"] = "must be 0: a local model gives its most likely answer"
    length = request.get("max_tokens")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        wrong["max_tokens"] = f"must be a whole number of 1 or more, got {length!r}"
    return wrong
