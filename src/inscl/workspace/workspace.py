"""One method per command: ``inscl init``, ``learn``, ``status``, ... call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from inscl.contract.seams import Progress
from inscl.engine.open_run import OpenWorkspace
from inscl.storage.objects.places import local_folder
from inscl.storage.run.ledger import Event, Keep, Ledger
from inscl.workspace import asking, differing, erasing, gating, learning, making, rollback, status
from inscl.workspace.differing import Difference
from inscl.workspace.erasing import Erasure
from inscl.workspace.gating import Gate
from inscl.workspace.learning import Learned
from inscl.workspace.making import AdapterMode
from inscl.workspace.new_data import Data
from inscl.workspace.proposing import Proposal, prepare
from inscl.workspace.recovering import writing
from inscl.workspace.request import BudgetRequest, LearnRequest
from inscl.workspace.rollback import Pruned, RolledBack
from inscl.workspace.status import Status

__all__ = ["Workspace"]


class Workspace:
    """A model that learns one task after another, with everything it learned, in one folder.

    Make one with `init`, open one with `open`. Every method raises `InsclError` where it can't do what it should; one
    process writes at a time, any number read.

    Attributes:
        path: The folder; of an address, the local copy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def init(
        cls,
        path: Path | str,
        model: str = "smollm2-135m",
        adapter: AdapterMode | None = None,
        *,
        changes: Sequence[str] = (),
        eval_per_task: int | None = None,
        keep: Keep = "examples",
    ) -> Workspace:
        """Make an empty workspace.

        Args:
            path: A folder that isn't there or is empty, or an address such as ``s3://bucket/support``.
            model: Alias, hub id, folder or ``.gguf`` file.
            adapter: From stage to stage: ``keep`` the adapter, ``merge`` it into the weights and begin another, begin
                a ``fresh`` one on the base model, or have ``none`` and train every weight. Default: keep.
            changes: Settings as in ``training.epochs=3``.
            eval_per_task: Most test examples of each task that a stage is scored on: the same ones at every stage.
            keep: What stays of a task's train examples once it is learned: the ``examples``, the ``instructions`` and
                what describes the task, or of that ``none`` that may hold an input.
        """
        folder = local_folder(path, new=True)
        making.make(folder, model, adapter, changes, eval_per_task, keep)
        return cls(folder)

    @classmethod
    def open(cls, path: Path | str = ".") -> Workspace:
        """The workspace in a folder or at an address, which is brought up to date on this machine.

        Raises:
            UserError: There is none.
            WorkspaceError: The address can't be read, or this machine has work that it lacks while others changed it.
        """
        folder = local_folder(path)
        Ledger.read(folder)
        return cls(folder)

    def plan(
        self,
        *data: Data,
        name: str | None = None,
        budget: BudgetRequest | None = None,
        strategy: str | None = None,
        eval_per_task: int | None = None,
        changes: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Proposal:
        """What `learn` would do with the same arguments, and what it would cost. Writes nothing in the workspace."""
        request = LearnRequest(data, name, budget, strategy, eval_per_task, tuple(changes))
        return prepare(OpenWorkspace(self.path, progress), request).proposal

    def learn(
        self,
        *data: Data,
        name: str | None = None,
        budget: BudgetRequest | None = None,
        strategy: str | None = None,
        eval_per_task: int | None = None,
        changes: Sequence[str] = (),
        agreed: Callable[[Proposal], bool] | None = None,
        progress: Progress | None = None,
    ) -> Learned:
        """Learn every task in the data that wasn't learned yet: plan, train, evaluate on everything, record.

        Interrupted at any instant, the same call goes on, and so does one without data.

        Args:
            *data: Files, folders, hub ids, `Task` or `Stream` objects.
            name: What to call the one task.
            budget: Examples for each earlier task, or as in ``"total=500"`` or ``{"share": 0.5}``.
            strategy: Registered name.
            eval_per_task: Most test examples of each task to score; default: as the workspace has it.
            changes: Settings for these stages alone, as in ``training.epochs=3``.
            agreed: Asked with the plan before anything is written; False leaves everything as it is.
            progress: Where to tell how far it is.

        Raises:
            DataError: The data can't be read, a name is taken, or test and train examples overlap.
            UserError: Another task's learning was begun and not finished.
        """
        request = LearnRequest(data, name, budget, strategy, eval_per_task, tuple(changes))
        with writing(self.path, progress) as opened:
            proposal, done = learning.learn(opened, request, agreed)
        return Learned(done, proposal.known, proposal.notes, self.status())

    def status(self) -> Status:
        """Tasks, their scores now and at their best, what the disk holds, what is unfinished."""
        return status.status_of(OpenWorkspace(self.path))

    def log(self) -> tuple[Event, ...]:
        """What happened, oldest first."""
        return Ledger.read(self.path).history

    def diff(self, first: int, second: int | None = None, *, metric: str | None = None) -> Difference:
        """Scores of two stages, and the answers that differ, worst first; `second` None is the last stage."""
        return differing.difference(OpenWorkspace(self.path), first, second, metric)

    def rollback(self, stage: int) -> RolledBack:
        """Go back to a stage: model, memory and matrix together. Nothing is deleted until `prune`."""
        with writing(self.path) as opened:
            return rollback.rollback(opened, stage)

    def prune(self) -> Pruned:
        """Delete what was rolled back."""
        with writing(self.path) as opened:
            return rollback.prune(opened)

    def ask(
        self,
        question: str,
        stage: int | None = None,
        *,
        max_new_tokens: int | None = None,
        pictures: Sequence[Path] = (),
        progress: Progress | None = None,
    ) -> str:
        """The model's answer after a stage; 0 is the base model, None the last stage; see `asking.ask`."""
        return asking.ask(OpenWorkspace(self.path, progress), question, stage, max_new_tokens, pictures)

    def gate(
        self,
        *,
        max_forgetting: float | None = None,
        min_score: Mapping[str, float] | None = None,
        max_score: Mapping[str, float] | None = None,
        metric: str | None = None,
    ) -> Gate:
        """Whether the last stage may be deployed; see `inscl.workspace.gating.gate`."""
        return gating.gate(OpenWorkspace(self.path), max_forgetting, min_score, max_score, metric)

    def erase(self, task: str | None = None, *, match: str | None = None, dry_run: bool = False) -> Erasure:
        """Delete a task's examples, or all that a regular expression finds, from every file; see `erasing.erase`."""
        if dry_run:
            return erasing.erase(OpenWorkspace(self.path), task, match, dry_run)
        with writing(self.path) as opened:
            return erasing.erase(opened, task, match)
