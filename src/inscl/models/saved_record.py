"""``learner.json`` in a folder of saved state: whose state it is, and of which model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inscl.errors import ModelError
from inscl.storage.files.atomic import read_json, write_json

__all__ = ["read_saved_stage", "write_saved_stage"]

_RECORD = "learner.json"


def write_saved_stage(folder: Path, stage: int, model: str, identity: Mapping[str, Any]) -> None:
    """Say whose state a folder holds.

    Args:
        folder: Where the state is.
        stage: How often the learner has learned.
        model: The model's name, for readers.
        identity: Name -> value of what a learner must share with the state to take it up: its own name and the model's
            fingerprint among them.

    Raises:
        WorkspaceError: The folder can't be written.
    """
    write_json(folder / _RECORD, {"schema": 1, "stage": stage, "model": model, **identity})


def read_saved_stage(folder: Path, identity: Mapping[str, Any]) -> int:
    """The stage of a saved state, once it is sure that it belongs to this learner.

    Args:
        folder: Where the state is.
        identity: As for `write_saved_stage`, of the learner that is about to take the state up.

    Raises:
        ModelError: There is no state, or it is another learner's or another model's.
        WorkspaceError: The record is damaged.
    """
    if not (folder / _RECORD).is_file():
        raise ModelError(f"{folder} holds no saved learner: {_RECORD} is missing")
    record = read_json(folder / _RECORD)
    for key, value in identity.items():
        if record.get(key) != value:
            raise ModelError(f"{folder} was saved with another {key} ({record.get(key)}, here {value})")
    return int(record["stage"])
