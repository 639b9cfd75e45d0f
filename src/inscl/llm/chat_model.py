"""From the name of a chat model to something that answers: an endpoint, or a model in this process."""

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
        request: Fields of the request body; a local model takes ``max_tokens`` of it.
        **endpoint: More arguments of `inscl.llm.endpoint.ChatEndpoint`.

    Raises:
        ConfigError: An address was given for a local model.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """
    if not model.startswith(LOCAL):
        return ChatEndpoint(model, base_url, request=request, **endpoint)
    if base_url is not None:
        raise ConfigError([Problem("base_url", f"is for a server; {model} runs in this process: leave it out")], "llm")
    from inscl.llm.local import LocalChatModel

    return LocalChatModel(model.removeprefix(LOCAL), max_tokens=int(request.get("max_tokens") or 256))
