"""Conversations as examples: OpenAI's ``messages`` and ShareGPT's ``conversations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inscl.data.quoting import excerpt
from inscl.data.readers.rows import listed

__all__ = ["ChatProblem", "read_chat"]


class ChatProblem(ValueError):
    """Turns that are not a conversation to learn from; the message says which."""


ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}


def read_chat(turns: Any) -> tuple[str, str, str]:
    """Instruction, input and answer of a conversation.

    The answer is the last turn, which must be the assistant's. A system message is the instruction, shared by many
    conversations, and the first user message is the input; without one the first user message is the instruction.
    Turns in between are kept in the input, a paragraph each, headed by who speaks.

    Args:
        turns: Mappings with ``role`` and ``content``, or with ``from`` and ``value``.

    Returns:
        Instruction, input (may be empty), answer.

    Raises:
        ChatProblem: The turns don't have this form; the message says which one.
    """
    if not isinstance(turns, (list, tuple)):
        raise ChatProblem(f"messages is {type(turns).__name__}; a list of turns was expected")
    spoken = [_turn(number, turn) for number, turn in enumerate(turns, start=1)]
    system = "\n\n".join(text for role, text in spoken if role == "system")
    spoken = [(role, text) for role, text in spoken if role != "system"]
    if len(spoken) < 2 or spoken[0][0] != "user" or spoken[-1][0] != "assistant":
        order = listed(role for role, _ in spoken) or "no turns"
        raise ChatProblem(f"turns from the user's first to the assistant's last were expected, there are: {order}")
    first, between, answer = spoken[0][1], spoken[1:-1], spoken[-1][1]
    later = [f"{role.capitalize()}: {text}" for role, text in between]
    if system.strip():
        # Only a dialogue needs to say who speaks first.
        return system, "\n\n".join([f"User: {first}" if later else first, *later]), answer
    return first, "\n\n".join(later), answer


def _turn(number: int, turn: Any) -> tuple[str, str]:
    if not isinstance(turn, Mapping):
        raise ChatProblem(f"turn {number} is {type(turn).__name__}; an object with role and content was expected")
    name, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    role = ROLES.get(name.lower()) if isinstance(name, str) else None
    if role is None:
        raise ChatProblem(f"turn {number} has the role {excerpt(str(name))}; expected one of {', '.join(ROLES)}")
    if isinstance(content, (list, tuple)):
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = None if None in parts or not parts else "".join(str(part) for part in parts)
    if not isinstance(content, str):
        raise ChatProblem(f"the content of turn {number} is no text; only text can be learned")
    return role, content
