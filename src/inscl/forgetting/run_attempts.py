"""Whether a run's answers still attempt what was asked, as told by the examples that the run itself kept."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract import Example
from inscl.contract.described import is_stand_in
from inscl.errors import UserError
from inscl.forgetting.attempts import AttemptCheck, Verdict
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.finished_run import Run

__all__ = ["RunAttempts", "kept_examples"]


def kept_examples(run: Run) -> list[Example]:
    """The train examples of every task that a run has learned, from its memory.

    Raises:
        UserError: The run folder has no memory.
        WorkspaceError: The memory is damaged.
    """
    store = MemoryStore(run.folder / "memory")
    kept = {task.name: task for task in map(store.task, store.keys())}
    tasks = [kept[name] for name in run.tasks[: run.learned] if name in kept]
    examples = [example for task in tasks for example in task.train if not is_stand_in(example)]
    if not examples:
        raise UserError(
            f"{run.folder / 'memory'} holds no train examples, so nothing tells what right answers look like; give the "
            "stream instead"
        )
    return examples


class RunAttempts:
    """`AttemptCheck` over what one run kept, made when it is first asked; a run that lost nothing never makes it.

    Args:
        run: The run.

    Attributes:
        unknown: Why nothing can be said of this run's answers; None as long as something can.
        references: How many examples it learned from; 0 before it is first asked.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._check: AttemptCheck | None = None
        self.unknown: str | None = None
        self.references = 0

    def __call__(self, answer: str, task: str, instruction: str, references: Sequence[str] = ()) -> Verdict:
        """The verdict on one answer; its reason is "unknown" where `unknown` says why.

        Raises:
            WorkspaceError: The memory is damaged.
        """
        if self._check is None and self.unknown is None:
            self._learn()
        if self._check is not None:
            try:
                return self._check(answer, task, instruction, references)
            except UserError as error:
                self.unknown = str(error)
        return Verdict(False, None, "unknown")

    def _learn(self) -> None:
        try:
            examples = kept_examples(self._run)
        except UserError:
            self.unknown = "the run folder keeps no examples that would tell what right answers look like"
            return
        try:
            self._check, self.references = AttemptCheck(examples), len(examples)
        except UserError as error:
            self.unknown = str(error)
