"""Which mapping of columns a row of unknown names may need: one that can be pasted, and that reads this row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inscl.data.columns import decoded, normal
from inscl.data.yaml_values import dump_yaml

__all__ = ["suggested"]

# What data sets call the two or three parts of an example, the most telling names first.
_ASKED = (
    "instruction", "prompt", "question", "query", "problem", "user", "human", "premise", "sentence1", "question1",
    "source", "src", "input", "inputs", "text", "sentence", "document", "article", "review", "utterance", "content",
    "title",
)  # fmt: skip
_GIVEN = ("input", "context", "passage", "paragraph", "hypothesis", "sentence2", "question2", "background")
_ANSWERED = (
    "output", "outputs", "answer", "answers", "response", "completion", "chosen", "reply", "target", "tgt", "solution",
    "summary", "highlights", "translation", "label", "labels", "class", "category", "intent", "sentiment", "assistant",
    "hypothesis",
)  # fmt: skip
_LONGEST = 60
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")


def suggested(row: Mapping[str, Any], reads: Callable[[Mapping[str, Any], Mapping[str, str]], bool]) -> str:
    """The first mapping that seems meant and by which the row can be read, as YAML on one line; empty if there is none.

    Args:
        row: Column -> value.
        reads: Whether a row can be read by a mapping.
    """
    names = [name for name in row if name and len(name) <= _LONGEST and not name.startswith("=") and name.isprintable()]
    for mapping in _candidates(names, row):
        if reads(row, mapping):
            return dump_yaml(mapping, one_line=True)
    return ""


def _candidates(names: Sequence[str], row: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for asked in _near(names, _ASKED):
        for answered in _near([name for name in names if name != asked], _ANSWERED):
            left = [name for name in names if name not in (asked, answered)]
            for given in (*_near(left, _GIVEN)[:1], None):
                yield _mapping(asked, given, _inside(answered, row))
    for name in names:
        if isinstance(decoded(row[name]), (list, tuple)):
            yield {"messages": name}
    if len(names) == 2 and normal(names[1]) not in ("instruction", *_GIVEN):  # those are no answers
        yield _mapping(names[0], None, _inside(names[1], row))


def _mapping(asked: str, given: str | None, answered: str) -> dict[str, str]:
    return {"instruction": asked, **({"input": given} if given else {}), "output": answered}


def _near(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Names that are known ones, or of which one is a word, in the order of the known ones."""
    found = [name for word in known for name in names if normal(name) == word]
    words = {name: {part.lower() for part in _WORDS.findall(name)} for name in names}
    return list(dict.fromkeys([*found, *(name for word in known for name in names if word in words[name])]))


def _inside(column: str, row: Mapping[str, Any]) -> str:
    """The texts inside a column of answers as SQuAD has it."""
    value = row[column]
    return f"{column}.text" if isinstance(value, Mapping) and "text" in value else column
