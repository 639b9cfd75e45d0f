"""A run on disk: its records, their files, and the next stage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from inscl.config.identity import deciding_settings
from inscl.config.metrics import scales_of
from inscl.config.settings import RunConfig
from inscl.contract import Stream
from inscl.contract.scale import Scale
from inscl.data.yaml_values import dump_yaml, parse_yaml
from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import is_partial, remove_partial
from inscl.storage.files.sealed_files import (
    COPIES,
    copy_of,
    keep_copy,
    read_sealed_json,
    read_sealed_text,
    write_sealed_json,
    write_sealed_text,
)
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.scores import ScoreMatrix
from inscl.storage.run.stage_record import Record

__all__ = ["Record", "RunFolder", "memory_key"]


class RunFolder:
    """A run folder and its records. `open` creates or continues one.

    Args:
        path: The folder.
        tasks: The tasks that are learned, in order.
        metrics: The metrics, the leading one first.
        held_out: The tasks that are scored and never learned.
    """

    def __init__(self, path: Path, tasks: Iterable[str], metrics: Iterable[str], held_out: Iterable[str] = ()) -> None:
        self.path = path
        self.tasks, self.metrics, self.held_out = tuple(tasks), tuple(metrics), tuple(held_out)
        self.memory = MemoryStore(path / "memory")

    @cached_property
    def scales(self) -> Mapping[str, Scale]:
        """Unit and direction of each metric, the leading one first."""
        return scales_of(self.metrics)

    @classmethod
    def open(cls, path: Path, config: RunConfig, stream: Stream, manifest: Mapping[str, Any]) -> RunFolder:
        """Make the folder, or continue the same run in it.

        Raises:
            WorkspaceError: The folder holds another run (the message says in what they differ) or something else.
        """
        found = path / "inscl.yaml"
        if found.exists() or copy_of(found).exists():
            _refuse_another_run(path, config, manifest)
            for name in ("inscl.yaml", "manifest.json"):
                keep_copy(path / name)
        elif path.exists() and any(not _is_ours(entry.name) for entry in path.iterdir()):
            raise WorkspaceError(f"{path} is not empty and holds no run: choose another --out")
        else:
            # The manifest goes first: a folder with an inscl.yaml always has one.
            write_sealed_json(path / "manifest.json", manifest)
            text = dump_yaml(config.model_dump(mode="json"))
            write_sealed_text(found, text)
        remove_partial(path)
        return cls.of_stream(path, config, stream)

    @classmethod
    def of_stream(cls, path: Path, config: RunConfig, stream: Stream) -> RunFolder:
        """The folder as it stands, of a run of that configuration on that stream."""
        return cls(path, stream.names, config.evaluation.metrics, (task.name for task in stream.held_out))

    @classmethod
    def of_manifest(cls, path: Path, manifest: Mapping[str, Any], metrics: Iterable[str]) -> RunFolder:
        """The folder as it stands, with the tasks that its ``manifest.json`` names."""
        stream = manifest["stream"]
        learned, held_out = ([task["name"] for task in stream.get(kind, [])] for kind in ("tasks", "held_out"))
        return cls(path, learned, metrics, held_out)

    def stage(self, number: int) -> Record:
        """The record of stage `number`; 0 is the base model."""
        task = "base" if number == 0 else self.tasks[number - 1]
        return Record(self.path / "stages" / f"{number:02d}-{_folder_name(task)}", number, task)

    def expert(self, number: int) -> Record:
        """The record of the expert for the `number`-th task; those that are held out follow those that are learned."""
        task = (*self.tasks, *self.held_out)[number - 1]
        return Record(self.path / "experts" / f"{number:02d}-{_folder_name(task)}", number, task)

    def finished(self) -> int:
        """How many stages are recorded to their end, counted from the first without a gap."""
        count = 0
        while count < len(self.tasks) and self.stage(count + 1).done:
            count += 1
        return count

    def scores(self, before: ScoreMatrix | None = None) -> ScoreMatrix:
        """The score matrix of all that was recorded; scores of other tasks than the folder's are left out.

        Args:
            before: That of all stages but the last, where it is known; only the last is read then.
        """
        cells = dict(before.cells) if before else {}
        matrix = ScoreMatrix(self.tasks, self.scales, cells, held_out=self.held_out)
        known = {*self.tasks, *self.held_out}
        for number in range(len(before.tasks) + 1 if before else 0, len(self.tasks) + 1):
            if self.stage(number).done:
                found = self.stage(number).scores()
                matrix.add(number, {task: values for task, values in found.items() if task in known})
        for number, task in enumerate((*self.tasks, *self.held_out), start=1):
            if self.expert(number).done:
                matrix.experts.update({t: s for t, s in self.expert(number).scores().items() if t == task})
        return matrix

    def drop_scores_of_others(self) -> None:
        """Take scores of tasks that aren't the folder's any more out of its stages.

        Another task may come by the same name, and must not have them.
        """
        known = {*self.tasks, *self.held_out}
        for record in map(self.stage, range(len(self.tasks) + 1)):
            if not record.done:
                continue
            found = record.scores()
            kept = {task: values for task, values in found.items() if task in known}
            if kept != found:
                record.write_scores(kept)
                record.finish()

    def drop_models(self, before: int) -> None:
        """Delete the weights of stages before `before`, to save disk."""
        for number in range(1, before):
            self.stage(number).drop_model()


def memory_key(stage: int) -> str:
    """What a run's memory knows the task of a stage by."""
    return f"{stage:04d}"


def _folder_name(task: str) -> str:
    """A task's name made safe for any file system; the stage number before it keeps two of them apart."""
    return re.sub(r"[^\w.-]+", "_", task)[:80]


def _is_ours(name: str) -> bool:
    """Whether a file is what an interruption may leave of a folder that was being made."""
    return name in (".lock", COPIES, "manifest.json") or is_partial(name)


def _refuse_another_run(path: Path, config: RunConfig, manifest: Mapping[str, Any]) -> None:
    found = path / "inscl.yaml"
    try:
        text = read_sealed_text(found, restore=True)
        before = deciding_settings(RunConfig.model_validate(parse_yaml(text)))
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{found} can't be read ({error}): choose another --out") from error
    differing = list(_differences(before, deciding_settings(config)))
    recorded = read_sealed_json(path / "manifest.json")
    differing += _differences(recorded["plugins"], manifest["plugins"])
    for part in ("stream", "model"):
        if recorded[part]["fingerprint"] != manifest[part]["fingerprint"]:
            differing.append(f"the {part}'s content has changed")
    if differing:
        listed = "; ".join(differing)
        raise WorkspaceError(f"{path} holds another run ({listed}): choose another --out, or delete that folder")


def _differences(before: Any, after: Any, key: str = "") -> Iterable[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _differences(before.get(name), after.get(name), f"{key}.{name}" if key else name)
    elif before != after:
        yield f"{key} was {before!r}, is {after!r}"
