"""The mix as JSON lines and nothing else: for a trainer of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract import Example
from inscl.data.export import jsonl, training_row
from inscl.handover.readme import readme
from inscl.handover.settings import Settings

__all__ = ["plain_jsonl"]


def plain_jsonl(examples: Sequence[Example], settings: Settings) -> dict[str, bytes]:
    """``train.jsonl`` with instruction, input, output, the task, and whether the row is replayed; ``README.txt``."""
    rows = [
        {**training_row(example), "task": example.task, "replayed": example.task != settings.task}
        for example in examples
    ]
    files = {"train.jsonl": "one example a line: instruction, input, output, task, replayed"}
    notes = ("A prompt is instruction, blank line, input; the instruction alone where there is no input.",)
    return {"train.jsonl": jsonl(rows), "README.txt": readme("any trainer", "", files, examples, settings, notes)}
