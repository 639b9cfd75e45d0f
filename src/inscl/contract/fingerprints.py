"""Fingerprints of data: which examples, in which order, in which splits."""

from __future__ import annotations

import hashlib
import json

from inscl.contract.task import Stream, Task

__all__ = ["fingerprint"]


def fingerprint(data: Task | Stream) -> str:
    """SHA-256 of a task or a stream, as 64 hex digits.

    It changes with any word of any instruction, input or reference, with the order of examples or tasks, with their
    splits, and with the names of tasks. It does not depend on file names, formats or sources.
    """
    if isinstance(data, Stream):
        content = ["stream", [fingerprint(task) for task in data.tasks]]
    else:
        content = ["task", data.name, data.train_ids, data.test_ids]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()
