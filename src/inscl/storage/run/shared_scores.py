"""Scores shared by runs: those of experts and the base model don't depend on strategy, order or budget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from inscl.config.identity import scores_key
from inscl.config.settings import RunConfig
from inscl.contract import Task
from inscl.storage.files.atomic import write_json
from inscl.storage.files.claim import claimed
from inscl.storage.files.integrity import seal, sealed_value

__all__ = ["SharedScores"]


class SharedScores:
    """Scores of one model on one task, kept as a small JSON file under a fingerprint of all that decides them.

    Args:
        folder: Where the files lie; None keeps and finds nothing.
        settings: The run's configuration.
        model: The model's fingerprint.
    """

    def __init__(self, folder: Path | None, settings: RunConfig, model: str) -> None:
        self.folder, self._settings, self._model = folder, settings, model

    def get(self, kind: str, task: Task) -> Mapping[str, Any] | None:
        """Scorer -> score of the ``expert`` of a task, or of the ``base`` model on it; None where nobody made it yet.

        A damaged file is as if it weren't there: its scores are made again.
        """
        found = self._read(self._path(kind, task))
        return None if found is None else dict(found["scores"])

    def put(self, kind: str, task: Task, scores: Mapping[str, Any] | None) -> None:
        """Keep scores for the runs to come; what is kept already stays."""
        path = self._path(kind, task)
        if path is not None and scores is not None and self._read(path) is None:
            write_json(path, seal({"schema": 1, "kind": kind, "task": task.name, "scores": scores}))

    def claimed(self, kind: str, task: Task, *, wait: bool = False) -> AbstractContextManager[bool]:
        """Whether it is for this run to make these scores; False while another run, which shares them, is at it.

        Args:
            kind: ``expert`` or ``base``.
            task: Whose.
            wait: Wait until the other run is done with them.
        """
        path = self._path(kind, task)
        return nullcontext(True) if path is None else claimed(path.with_suffix(".making"), wait=wait)

    @staticmethod
    def _read(path: Path | None) -> dict[str, Any] | None:
        if path is None or not path.exists():
            return None
        try:
            value = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return sealed_value(value)

    def _path(self, kind: str, task: Task) -> Path | None:
        if self.folder is None:
            return None
        longest = task.max_new_tokens or self._settings.evaluation.longest_answer(task.name)
        return self.folder / f"{kind}-{scores_key(kind, self._settings, task.fingerprint, self._model, longest)}.json"
