"""Conversations: OpenAI's messages, ShareGPT's conversations, TRL's prompts and completions, Alpaca's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract.example import Role, Turn
from inscl.data.columns import FIELDS, RowProblem, decoded, normal
from inscl.data.markers import MARKER
from inscl.data.quoting import excerpt
from inscl.data.readers.rows import listed

__all__ = ["Conversation", "Spoken", "conversation_of", "read_history", "read_turns", "with_reasoning"]

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}
_PICTURES = ("image", "image_url")
TOOLS = frozenset({"tool", "function", "ipython", "observation", "function_call", "tool_call", "function_response"})


@dataclass(frozen=True)
class Spoken:
    """One turn as the data has it.

    Attributes:
        role: Who speaks.
        text: What is said.
        reasoning: What the assistant thought before; empty where the data doesn't say.
        reasoning_field: Which field says so, as in ``messages.reasoning_content``.
        fields: Its other fields that hold a value, likewise.
        pictures: One for each marker that stands for a part of the content that is a picture: what the part says of
            it, None where it says no more than that there is one.
    """

    role: Role
    text: str
    reasoning: str = ""
    reasoning_field: str = ""
    fields: tuple[str, ...] = ()
    pictures: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """A conversation to learn from.

    Attributes:
        turns: Everything before the last answer; the last of them is the user's question.
        answer: The last answer.
        unused: Fields of messages that hold a value which is in neither.
    """

    turns: tuple[Turn, ...]
    answer: str
    unused: tuple[str, ...] = ()

    @property
    def system(self) -> str:
        """The system turn; empty where there is none."""
        return self.turns[0].content if self.turns[0].role == "system" else ""

    @property
    def users(self) -> list[str]:
        """The turns of the user."""
        return [turn.content for turn in self.turns if turn.role == "user"]


def read_turns(value: Any, column: str = "messages") -> list[Spoken]:
    """The turns of a list of messages.

    Args:
        value: Mappings with ``role`` and ``content``, or with ``from`` and ``value``; or JSON text of such a list.
        column: Where it stands, for messages.

    Raises:
        RowProblem: It is no such list; the message says which turn isn't one.
    """
    turns = decoded(value)
    if isinstance(turns, Mapping):
        turns = [turns]
    if not isinstance(turns, (list, tuple)):
        raise RowProblem(f"{column} is {type(turns).__name__}; a list of turns was expected")
    return [_turn(number, turn, column) for number, turn in enumerate(turns, start=1)]


def conversation_of(
    spoken: Sequence[Spoken], system: str = "", learn_all: bool = False, keep_reasoning: bool = False
) -> Conversation:
    """Turns in the order in which a model takes them: maybe the system's, then user and assistant in turn.

    Args:
        spoken: The turns; the last is the answer.
        system: The system turn, where they have none of their own.
        learn_all: Learn the answers before the last one too.
        keep_reasoning: Make what was thought before an answer that is learned a part of it.

    Raises:
        RowProblem: The turns have another order, or one of them is empty.
    """
    count = next((k for k, turn in enumerate(spoken) if turn.role != "system"), len(spoken))
    first = "\n\n".join(turn.text for turn in spoken[:count] if turn.text.strip()) or system
    rest = spoken[count:]
    if len(rest) < 2 or rest[0].role != "user" or rest[-1].role != "assistant":
        order = listed(turn.role for turn in spoken) or "no turns"
        raise RowProblem(f"turns from the user's first to the assistant's last were expected, there are: {order}")
    for number, (turn, before) in enumerate(zip(rest[1:], rest, strict=False), start=count + 2):
        if turn.role == "system":
            raise RowProblem(f"turn {number} is the system's; it was expected before all others")
        if turn.role == before.role:
            raise RowProblem(
                f"turns {number - 1} and {number} are both the {turn.role}'s; user and assistant were expected in turn"
            )
    for number, turn in enumerate(rest[:-1], start=count + 1):
        if not turn.text.strip():
            raise RowProblem(f"turn {number}, the {turn.role}'s, is empty")
    turns = [Turn("system", first)] if first.strip() else []
    unused = [name for turn in spoken for name in turn.fields]
    for turn in rest:
        learned = turn is rest[-1] or (learn_all and turn.role == "assistant")
        keeps = learned and keep_reasoning
        unused += [turn.reasoning_field] if turn.reasoning_field and not keeps else []
        turns.append(Turn(turn.role, with_reasoning(turn.reasoning, turn.text) if keeps else turn.text, learned))
    return Conversation(tuple(turns[:-1]), turns[-1].content, tuple(dict.fromkeys(unused)))


def read_history(value: Any) -> list[Spoken]:
    """The turns of Alpaca's ``history``: a list of pairs, what the user said and what was answered.

    Raises:
        RowProblem: It is no such list, or a text in it is empty.
    """
    pairs = decoded(value)
    if pairs is None or (isinstance(pairs, str) and not pairs.strip()):
        return []
    if not isinstance(pairs, (list, tuple)):
        raise RowProblem(f"the history is {type(pairs).__name__}; a list of pairs [question, answer] was expected")
    spoken: list[Spoken] = []
    for number, pair in enumerate(pairs, start=1):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise RowProblem(f"entry {number} of the history is no pair of texts [question, answer]")
        if not all(text.strip() for text in pair):
            raise RowProblem(f"entry {number} of the history has an empty text")
        spoken += [Spoken("user", pair[0]), Spoken("assistant", pair[1])]
    return spoken


def with_reasoning(reasoning: str, answer: str) -> str:
    """An answer with what was thought before it, as reasoning models write both."""
    return f"<think>\n{reasoning.strip()}\n</think>\n\n{answer}" if reasoning.strip() else answer


def _turn(number: int, turn: Any, column: str) -> Spoken:
    if not isinstance(turn, Mapping):
        raise RowProblem(f"turn {number} is {type(turn).__name__}; an object with role and content was expected")
    fields = {normal(name): (name, value) for name, value in turn.items()}

    def value_of(*names: str) -> Any:
        found = [fields.pop(name)[1] for name in names if name in fields]
        return next((value for value in found if value is not None), None)

    name, content = value_of("role", "from"), value_of("content", "value")
    role = ROLES.get(name.strip().lower()) if isinstance(name, str) else None
    if role is None:
        if isinstance(name, str) and name.strip().lower() in TOOLS:
            raise RowProblem(f"turn {number} has the role {excerpt(name)}; calls of tools can't be learned")
        raise RowProblem(f"turn {number} has the role {excerpt(str(name))}; expected one of {', '.join(ROLES)}")
    thought = next((fields[key] for key in FIELDS["reasoning"] if key in fields and fields[key][1]), ("", ""))
    reasoning, reasoning_field = (thought[1], f"{column}.{thought[0]}") if isinstance(thought[1], str) else ("", "")
    left = (f"{column}.{name}" for name, value in fields.values() if value not in (None, "", [], {}))
    rest = tuple(name for name in left if name != reasoning_field)
    text, pictures = _content(number, content)
    return Spoken(role, text, reasoning, reasoning_field if reasoning else "", rest, pictures)


def _content(number: int, content: Any) -> tuple[str, tuple[Any, ...]]:
    """A content's text, with a marker for each part that is a picture, and what those parts say of it."""
    pictures: list[Any] = []
    if isinstance(content, (list, tuple)):
        parts: list[Any] = []
        for part in content:
            if isinstance(part, Mapping) and part.get("type") in _PICTURES:
                pictures.append(_picture(part))
                parts.append(MARKER)
            else:
                parts.append(part.get("text") if isinstance(part, Mapping) else None)
        content = None if None in parts or not parts else "".join(str(part) for part in parts)
    if not isinstance(content, str):
        raise RowProblem(f"the content of turn {number} is no text; only text and pictures can be learned")
    return content, tuple(pictures)


def _picture(part: Mapping[str, Any]) -> Any:
    """What a part of a content says of its picture, as OpenAI's and transformers' messages have it."""
    said = next((part[key] for key in ("image_url", "image", "path", "url") if part.get(key) is not None), None)
    return said.get("url") if isinstance(said, Mapping) and "url" in said else said
