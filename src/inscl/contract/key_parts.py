"""Key parts of an instruction: what fixes content, length or format of a right answer; and examples without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from inscl.contract.example import MARKER, Example, Turn

__all__ = ["KEY_PARTS", "MASK", "clauses", "key_part_choices", "masked"]

KEY_PARTS = "key_parts"
"""The metadata of an example that names the key parts of its instruction: a list of texts."""

MASK = "[...]"
"""What stands in place of a key part."""

_ENDS = re.compile(r"(?<=[.,;:!?])\s+|\n+")


def clauses(instruction: str, most: int) -> list[str]:
    """The clauses of an instruction, each a part of its text: candidates for its key part.

    It is cut at line feeds and behind punctuation.

    Args:
        instruction: The text.
        most: Of more than so many the longest are kept, in the order of the text.
    """
    found = [part.strip() for part in _ENDS.split(instruction) if re.search(r"\w", part)]
    distinct = list(dict.fromkeys(found))
    kept = set(sorted(distinct, key=len, reverse=True)[:most])
    return [part for part in distinct if part in kept]


def key_part_choices(example: Example, most: int) -> list[tuple[str, ...]]:
    """The choices of what to mask in an example's instruction.

    Args:
        example: If its metadata name key parts, those that occur literally are the only choice, all together.
        most: Otherwise so many clauses at the most, each a choice by itself.

    Returns:
        Empty if nothing that the metadata name occurs, or the instruction has no word.
    """
    given = example.metadata.get(KEY_PARTS)
    if isinstance(given, list | tuple):
        found = tuple(part for part in given if isinstance(part, str) and part and part in example.instruction)
        return [found] if found else []
    return [(part,) for part in clauses(example.instruction, most)]


def masked(example: Example, parts: Sequence[str], mask: str = MASK) -> Example | None:
    """The example with parts of its instruction replaced, wherever the instruction stands in its conversation.

    Only its answer is to be learned, no earlier answer of its conversation.

    All parts are found in the instruction as it was, so that none is found in a mask; where parts overlap, one mask
    stands for all of them. A part is found where it isn't within a word, or anywhere if it is nowhere else. Markers of
    the example's own pictures stay, and those of others don't come in.

    Args:
        example: Any example.
        parts: Texts that occur in its instruction.
        mask: What stands in their place.

    Returns:
        None if that changes nothing that a model reads.
    """
    marker = MARKER if example.images else ""
    instruction = _masked_text(example.instruction, parts, mask.replace(MARKER, ""), marker)
    turns, place = [Turn(turn.role, turn.content) for turn in example.turns], None
    for place, turn in enumerate(turns):
        if example.instruction and example.instruction in turn.content:
            turns[place] = Turn(turn.role, turn.content.replace(example.instruction, instruction))
            break
    else:
        place = None
    if instruction == example.instruction or (turns and place is None):
        return None
    return replace(example, instruction=instruction, turns=tuple(turns))


def _masked_text(text: str, parts: Sequence[str], mask: str, marker: str) -> str:
    """A text with one mask in place of each stretch that parts cover, and behind it the markers that stood in it."""
    kept, end = [], 0
    for first, last in _stretches(span for part in parts if part for span in _places(text, part)):
        kept += [text[end:first], mask, marker * (text[first:last].count(marker) if marker else 0)]
        end = last
    return "".join((*kept, text[end:]))


def _stretches(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap as one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _places(text: str, part: str) -> list[tuple[int, int]]:
    """Where a part stands in a text: first character, and the one behind its last."""
    plain = re.escape(part)
    before, behind = (r"(?<!\w)" if re.match(r"\w", part) else ""), (r"(?!\w)" if re.search(r"\w\Z", part) else "")
    found = list(re.finditer(f"{before}{plain}{behind}", text)) or list(re.finditer(plain, text))
    return [match.span() for match in found]
