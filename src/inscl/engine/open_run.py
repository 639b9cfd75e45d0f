"""A run or a workspace that is open: settings, stream, records and memory, read once and handed on as one object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Stream
from inscl.contract.seams import NullProgress, Progress
from inscl.data.places import address_of
from inscl.data.refined import REJECTED
from inscl.engine.lengths import check_lengths
from inscl.engine.overview import Run, manifest_of, summarise, summarise_workspace
from inscl.engine.parts import Parts
from inscl.engine.plan import stream_of
from inscl.errors import ConfigError, UserError
from inscl.evaluation.measurable import check_measures
from inscl.storage.files.atomic import write_jsonl
from inscl.storage.files.sealed_files import copy_of, read_sealed_text
from inscl.storage.memory.store import MemoryStore
from inscl.storage.objects.places import held, local_folder, publish
from inscl.storage.run.ledger import LEDGER, LearnedTask, Ledger, stored_stream
from inscl.storage.run.run_folder import RunFolder
from inscl.storage.run.stage_record import Record

__all__ = ["OpenRun", "OpenWorkspace", "open_held", "open_run", "start_run"]


class OpenRun:
    """A run that is open.

    Attributes:
        path: Its folder.
        settings: Its configuration.
        progress: Where long work tells how far it is.
        model: The fingerprint of the model that it began with; empty where nobody needs it.
    """

    called = "run"

    def __init__(
        self, path: Path, settings: RunConfig, stream: Stream, progress: Progress | None = None, model: str = ""
    ) -> None:
        self.path, self.settings, self.model = path, settings, model
        self.progress = progress or NullProgress()
        self._stream = stream
        self._folder = RunFolder.of_stream(path, settings, stream)

    @property
    def stream(self) -> Stream:
        """The tasks, in the order in which they are learned."""
        return self._stream

    @property
    def folder(self) -> RunFolder:
        """The records of the stages."""
        return self._folder

    @property
    def memory(self) -> MemoryStore:
        """Examples of the tasks learned, with vectors and tags of their instructions."""
        return self._folder.memory

    @property
    def last_stage(self) -> int:
        """The number of the last stage that counts; 0 before the first."""
        return self.folder.finished()

    @cached_property
    def parts(self) -> Parts:
        """The parts that the settings name; one learner goes with them through the stages."""
        return Parts.of(self.settings, self.progress)

    def settings_of_stage(self, stage: int) -> RunConfig:
        """What a stage was learned with: in a run the run's own settings, whichever stage."""
        return self.settings

    def parts_of_stage(self, stage: int) -> Parts:
        """New parts by the settings of a stage; their learner has learned nothing yet."""
        return Parts.of(self.settings_of_stage(stage), self.progress)

    def stage_number(self, stage: int | None) -> int:
        """The number of a stage that counts; None is the last, 0 the base model.

        Raises:
            UserError: There is no such stage.
        """
        last = self.last_stage
        number = last if stage is None else stage
        if not 0 <= number <= last:
            raise UserError(
                f"there is no stage {number}: the {self.called} has stages 0 (the base model) to {last}: {self.path}"
            )
        return number

    def change_records(self) -> None:
        """Say that records of stages are about to change; a run's overview is made of all of them whenever it is."""

    def summarise(self) -> Run:
        """Write the score matrix and the metrics from the stages' records, and publish what is at an address."""
        made = summarise(self.folder, self.stream)
        publish(self.path, self.progress.note)
        return made


class OpenWorkspace(OpenRun):
    """A workspace that is open: a run that keeps growing, whose ``workspace.json`` says what it has learned.

    Attributes:
        ledger: Its state.

    Raises:
        UserError: There is no workspace.
        WorkspaceError: Its state is damaged.
        ConfigError: Its configuration is wrong.
    """

    called = "workspace"

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.ledger = Ledger.read(path)
        read_sealed_text(path / "inscl.yaml")
        # Wherever the folder was moved to.
        here = f"output_dir={json.dumps(str(path.resolve()))}"
        super().__init__(path, load_config(path / "inscl.yaml", [here]), Stream((), "workspace"), progress)
        self._changed: dict[tuple[str, ...], RunConfig] = {(): self.settings}

    @property
    def stream(self) -> Stream:
        """What was learned; examples are read when they are looked at."""
        return stored_stream(self.path, self.ledger, self.memory)

    @property
    def folder(self) -> RunFolder:
        """The records of the stages that count."""
        return RunFolder(self.path, self.ledger.names, self.settings.evaluation.metrics)

    @property
    def last_stage(self) -> int:
        """The number of the last stage that counts; 0 before the first."""
        return len(self.ledger.tasks)

    def settings_of_stage(self, stage: int) -> RunConfig:
        """What a stage was learned with; the workspace's own settings for stage 0."""
        return self.settings_with(self.ledger.tasks[stage - 1].settings) if stage else self.settings

    def settings_with(self, changes: Sequence[str]) -> RunConfig:
        """The workspace's settings with changes as in ``training.epochs=3``.

        Raises:
            ConfigError: A change is wrong.
        """
        key = tuple(changes)
        if key not in self._changed:
            self._changed[key] = load_config(self.settings, key)
        return self._changed[key]

    def next_record(self, task: str) -> Record:
        """The record of the stage that is learned next."""
        return RunFolder(self.path, [*self.ledger.names, task], ()).stage(self.last_stage + 1)

    def discarded_record(self, group: int, number: int, task: LearnedTask) -> Record:
        """The record of a stage that was rolled back, which stands in ``discarded/<group>``."""
        stands = RunFolder(self.path, [*[""] * (number - 1), task.name], ()).stage(number).path.name
        return Record(self.path / "discarded" / f"{group:02d}" / stands, number, task.name)

    def write_overview(self) -> None:
        """Write what is made from the stages and the ledger: scores, metrics, manifest."""
        summarise_workspace(self.folder, self.ledger)

    def commit(self, **changes: Any) -> None:
        """Make changes of the ledger count."""
        self.ledger = self.ledger.changed(**changes).write(self.path)

    def change_records(self) -> None:
        """Say that records are about to change: a new revision, so that the overview is made of all stages again."""
        self.commit()


@contextmanager
def start_run(
    settings: RunConfig, progress: Progress | None = None, kind: type[OpenRun] = OpenRun
) -> Iterator[OpenRun]:
    """Make a run's folder or take up the run that is in it, and hold it while the block runs.

    Args:
        settings: What is run.
        progress: Where to tell how far it is.
        kind: `OpenRun`, or one that keeps something elsewhere.

    Raises:
        ConfigError: A component refuses its parameters, a measure is defined for no task, the learner reads text alone
            and the stream has pictures, or the folder is a workspace.
        DataError: The stream can't be read, or an answer is longer than the learner takes.
        ModelError: There is no such model.
        WorkspaceError: The folder holds another run, is in use, or can't be written.
    """
    path = local_folder(settings.output_dir, new=True)
    recorded, settings = settings, settings.model_copy(update={"output_dir": str(path)})
    if _holds(path, LEDGER):
        raise ConfigError(f"{path} is a workspace: `inscl learn DATA -w {path}` teaches it more")
    stream = stream_of(settings)
    # Before the folder is made, so that a bad parameter or a missing model leaves nothing behind.
    parts = Parts.of(settings, progress)
    parts.check()
    parts.check_pictures(stream.scored)
    check_measures(parts.scorers, stream, settings.evaluation.most_asked)
    check_lengths(parts, stream)
    manifest = manifest_of(settings, stream)
    opened = kind(path, settings, stream, progress, manifest["model"]["fingerprint"])
    with held(path, opened.progress.note):
        RunFolder.open(path, recorded, stream, manifest)
        if stream.rejected:
            write_jsonl(path / REJECTED, stream.rejected)
        for finding in stream.findings:
            opened.progress.note(finding)
        yield opened


def open_run(path: Path, progress: Progress | None = None) -> OpenRun:
    """Open the run or workspace in a folder, or at an address.

    Raises:
        ConfigError: The folder holds no run.
        DataError: Its stream can't be read any more.
        WorkspaceError: A file of it is damaged.
    """
    path = local_folder(path)
    _refuse_no_run(path)
    if _holds(path, LEDGER):
        return OpenWorkspace(path, progress)
    read_sealed_text(path / "inscl.yaml")
    settings = load_config(path / "inscl.yaml")
    if address_of(settings.output_dir):
        settings = settings.model_copy(update={"output_dir": str(path)})
    return OpenRun(path, settings, stream_of(settings), progress)


@contextmanager
def open_held(path: Path, progress: Progress | None = None) -> Iterator[OpenRun]:
    """The same, held while the block runs, so that nobody else changes it; it is read once it is held.

    Raises:
        WorkspaceError: Another process holds it, or it can't be written; and as for `open_run`.
    """
    path = local_folder(path)
    _refuse_no_run(path)  # so that no lock is left behind
    with held(path):
        yield open_run(path, progress)


def _refuse_no_run(path: Path) -> None:
    if not _holds(path, LEDGER) and not _holds(path, "inscl.yaml"):
        raise ConfigError(f"no run there: {path} has no inscl.yaml")


def _holds(path: Path, name: str) -> bool:
    return (path / name).exists() or copy_of(path / name).exists()
