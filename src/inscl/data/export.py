"""Examples as a training file that other trainers read: TRL, LLaMA-Factory, Axolotl, ms-swift."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from inscl.contract import Example
from inscl.contract.question import Question
from inscl.data.markers import with_markers
from inscl.data.picture_files import write_pictures
from inscl.data.writing import write_bytes
from inscl.errors import ConfigError, Problem

__all__ = ["Layout", "jsonl", "provenance_cells", "training_row", "write_training_file"]

Layout = Literal["alpaca", "messages", "turns"]


def training_row(
    example: Example, layout: Layout = "alpaca", pictures: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """One example as those trainers hold it; the answer is the first reference, as in training here.

    A row with pictures has a column ``images`` of their paths, and a marker ``<image>`` for each in the user's texts.
    Beside such rows, the column of those without any is empty.

    Args:
        example: The example.
        layout: ``"alpaca"``: instruction, input, output, and system and history where a conversation has them.
            ``"messages"``: the turns of the conversation and the answer in one list; without a conversation that is a
            user's and an assistant's turn, the first being instruction, blank line, input. ``"turns"``: the same as
            ``prompt`` and ``completion``, which tells a trainer where the answer begins; not for rows with pictures.
        pictures: Digest of a picture -> its path, as `inscl.data.picture_files.write_pictures` tells.

    Raises:
        ConfigError: There is no such layout, or none for pictures, or the example has some and no paths are given.
    """
    if example.images and (not pictures or layout == "turns"):
        said = f"the example {example.source or example.id} has pictures, which this form can't hold"
        raise ConfigError([Problem("layout", said)])
    images = {"images": [pictures[image.digest] for image in example.images]} if pictures else {}
    if layout == "alpaca":
        return {**_alpaca(example), **images}
    turns = with_markers(Question.of(example).conversation, len(example.images))
    before = [{"role": turn.role, "content": turn.content} for turn in turns]
    assistant = {"role": "assistant", "content": example.output}
    if layout == "messages":
        return {"messages": [*before, assistant], **images}
    if layout == "turns":
        return {"prompt": before, "completion": [assistant]}
    raise ConfigError([Problem("layout", f"expected alpaca or messages or turns, not {layout!r}")])


def _alpaca(example: Example) -> dict[str, Any]:
    row: dict[str, Any] = {"instruction": example.instruction, "input": example.input, "output": example.output}
    *before, asked = with_markers(Question.of(example).conversation, len(example.images))
    if not example.turns:
        return {**row, "instruction": asked.content.removesuffix(example.prompt) + example.instruction}
    if asked.content != example.prompt:  # a conversation's instruction is its system turn, or its first one
        row |= {"instruction": asked.content, "input": ""}
    system = [turn.content for turn in before if turn.role == "system"]
    said = [turn.content for turn in before if turn.role != "system"]
    history = [list(pair) for pair in zip(said[::2], said[1::2], strict=True)]
    return {**row, **({"system": system[0]} if system else {}), **({"history": history} if history else {})}


def provenance_cells(examples: Sequence[Example]) -> list[dict[str, str]]:
    """For each example a column ``provenance``, as JSON in a text; no column where no refiner made any of them.

    It is a text, empty for examples as they were read, since loaders of JSON lines want one type a column, and what
    refiners say differs from row to row.
    """
    if not any(example.provenance for example in examples):
        return [{} for _ in examples]
    told = (dict(example.provenance) for example in examples)
    return [{"provenance": json.dumps(one, ensure_ascii=False) if one else ""} for one in told]


def write_training_file(path: Path, examples: Iterable[Example], layout: Layout = "alpaca") -> int:
    """Write examples as JSONL, one a line, in the order given, with their `provenance_cells`; pictures lie beside it.

    Args:
        path: The file to write; it appears whole or not at all.
        examples: New data and replay, mixed as they are to be trained on.
        layout: See `training_row`.

    Returns:
        How many rows were written.

    Raises:
        ConfigError: There is no such layout.
        WorkspaceError: The file can't be written.
    """
    given = list(examples)
    names = write_pictures(path.parent, given)
    rows = [
        {**training_row(one, layout, names), **cell} for one, cell in zip(given, provenance_cells(given), strict=True)
    ]
    write_bytes(path, jsonl(rows))
    return len(rows)


def jsonl(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as JSON lines in UTF-8, one a line, the last one ended too."""
    return b"".join(_line(row) for row in rows)


def _line(row: Mapping[str, Any]) -> bytes:
    text = json.dumps(row, ensure_ascii=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8, but JSON can escape it
        return f"{json.dumps(row, ensure_ascii=True)}\n".encode()
