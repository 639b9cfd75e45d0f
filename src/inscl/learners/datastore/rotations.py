"""A choice with its listed options in every other cyclic order, so that no place or letter counts by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from inscl.contract import Example

__all__ = ["rotations"]

Span = tuple[int, int]


def rotations(example: Example) -> list[Example]:
    """The other n - 1 rotations of the n options that stand in an example's input.

    The cyclic augmentation of Reference Trustable Decoding's released code, for lists in which each option is a label
    at the beginning of a line (``A. red``, ``(A) red``, ``A: red``), whose texts move and whose right label follows its
    text; and for options that stand in the input word for word, once each, which move themselves. Where the input is
    empty, the instruction is looked at.

    Args:
        example: A choice.

    Returns:
        Empty where the options don't stand there like that, an answer is none of them, or it is a conversation.
    """
    options, text = example.options, example.input or example.instruction
    if len(options) < 2 or example.turns or not {one.strip() for one in example.outputs} <= set(options):
        return []
    spans = _labelled(text, options)
    labelled = spans is not None
    spans = spans or _verbatim(text, options)
    if spans is None:
        return []
    # In the order in which they stand.
    order = sorted(range(len(options)), key=lambda k: spans[k])
    places, count = [spans[k] for k in order], len(options)
    found = []
    for turn in range(1, count):
        moved = _with(text, places, [text[slice(*places[(k + turn) % count])] for k in range(count)])
        outputs = example.outputs
        if labelled:
            at = {options[k]: place for place, k in enumerate(order)}
            outputs = tuple(options[order[(at[one.strip()] - turn) % count]] for one in outputs)
        made = replace(example, outputs=outputs)
        found.append(replace(made, input=moved) if example.input else replace(made, instruction=moved))
    return found


def _labelled(text: str, options: tuple[str, ...]) -> list[Span] | None:
    """Where the text of each option stands behind its label, in the order of the options."""
    spans = []
    for option in options:
        lines = rf"^[ \t]*\(?{re.escape(option)}[.):]\)?[ \t]+(\S.*?)[ \t]*$"
        found = list(re.finditer(lines, text, re.MULTILINE))
        if len(found) != 1:
            return None
        spans.append(found[0].span(1))
    return spans


def _verbatim(text: str, options: tuple[str, ...]) -> list[Span] | None:
    """Where each option stands itself, if it does once and no two overlap."""
    spans = []
    for option in options:
        found = list(re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", text))
        if not option.strip() or len(found) != 1:
            return None
        spans.append(found[0].span())
    ordered = sorted(spans)
    apart = all(end <= start for (_, end), (start, _) in pairwise(ordered))
    return spans if apart else None


def _with(text: str, places: list[Span], said: list[str]) -> str:
    """The text with something else at each place; places in ascending order."""
    parts, end = [], 0
    for (start, stop), one in zip(places, said, strict=True):
        parts += [text[end:start], one]
        end = stop
    return "".join((*parts, text[end:]))
