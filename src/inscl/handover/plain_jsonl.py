"""The mix as JSON lines and nothing else: for a trainer of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract import Example
from inscl.data.export import jsonl, provenance_cells, training_row
from inscl.handover.readme import readme
from inscl.handover.settings import Settings

__all__ = ["plain_jsonl"]


def plain_jsonl(examples: Sequence[Example], settings: Settings) -> dict[str, bytes]:
    """``train.jsonl`` with instruction, input, output, the task, and whether the row is replayed; ``README.txt``.

    Of a conversation also ``system`` and ``history``, as Alpaca's form has them; of a row that a refiner made its
    provenance.
    """
    rows = [
        {
            **training_row(example, pictures=settings.pictures),
            "task": example.task,
            "replayed": example.task != settings.task,
            **cell,
        }
        for example, cell in zip(examples, provenance_cells(examples), strict=True)
    ]
    files = {"train.jsonl": "one example a line: instruction, input, output, task, replayed"}
    notes = ["A prompt is instruction, blank line, input; the instruction alone where there is no input."]
    if any(example.turns for example in examples):
        learned = any(turn.learn for example in examples for turn in example.turns)
        whose = "carry loss, too" if learned else "carry no loss"
        notes.append(f"A system turn stands in system, earlier turns in history, in pairs; the answers there {whose}.")
    if settings.pictures:
        notes.append("Of a row with pictures, images names their files; each has a marker <image> in the user's texts.")
    if any("provenance" in row for row in rows):
        notes.append("Of a row that a refiner made, provenance says of what, by whom and how, as JSON in a text.")
    return {"train.jsonl": jsonl(rows), "README.txt": readme("any trainer", "", files, examples, settings, notes)}
