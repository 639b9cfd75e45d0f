"""``inscl learn``: shows the cost, stores the new data, and learns a stage for every new task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract import Stream
from inscl.data.refined import REJECTED
from inscl.engine.open_run import OpenWorkspace
from inscl.engine.stage import set_aside
from inscl.errors import UserError
from inscl.pipeline import learn_stages
from inscl.workspace.plain import Plain
from inscl.workspace.proposing import Prepared, Proposal, checked_settings, prepare
from inscl.workspace.request import LearnRequest
from inscl.workspace.stages import DamagedStages, WaitingStages, uses_losses
from inscl.workspace.status import Status, undone

__all__ = ["Learned", "learn"]


@dataclass(frozen=True)
class Learned(Plain):
    """What `learn` did.

    Attributes:
        learned: Tasks learned by this call, in order.
        known: Tasks that were learned already.
        notes: What the user should read.
        status: How the workspace stands now.
    """

    learned: tuple[str, ...]
    known: tuple[str, ...]
    notes: tuple[str, ...]
    status: Status


def learn(
    opened: OpenWorkspace, request: LearnRequest, agreed: Callable[[Proposal], bool] | None = None
) -> tuple[Proposal, tuple[str, ...]]:
    """Learn what is new in the data; an interrupted call goes on where it was.

    Args:
        opened: The workspace, held for writing.
        request: What to learn and how.
        agreed: Shown the plan, and asked, before anything is written; None goes on.

    Returns:
        What was proposed, and the tasks learned.
    """
    checked_settings(opened, request)  # a mistake is told before stages are done anew, which takes its time
    mended = _mend(opened)
    prepared = prepare(opened, request, mended)
    if (agreed is not None and not agreed(prepared.proposal)) or not prepared.entries:
        return prepared.proposal, ()
    _begin(opened, prepared)
    pending = opened.ledger.pending
    # A plan by losses, but for the first one, was made with a model that hadn't learned the tasks in between.
    plans = {
        entry.key: plan
        for number, (entry, plan) in enumerate(zip(pending, prepared.plans, strict=True))
        if number == 0 or not uses_losses(opened.settings_with(entry.settings))
    }
    rejected = _kept_aside(opened, prepared) or set_aside(opened.next_record(pending[0].name))
    learn_stages(WaitingStages(opened, plans, rejected))
    return prepared.proposal, tuple(entry.name for entry in pending)


def _kept_aside(opened: OpenWorkspace, prepared: Prepared) -> Sequence[Mapping[str, Any]]:
    """Rows of the data that were set aside; none where a workspace lets its examples go, since these are such rows."""
    return prepared.data.rejected if opened.ledger.keep == "examples" else ()


def _mend(opened: OpenWorkspace) -> bool:
    """Do stages anew whose records were found damaged; whether there were any."""
    missing = undone(opened)
    if not missing:
        return False
    _refuse_let_go(opened, missing)
    _refuse_erased(opened.stream, missing)
    # What is made from all stages is made anew, even if this is killed at its end.
    (opened.path / "scores.json").unlink(missing_ok=True)
    opened.change_records()
    learn_stages(DamagedStages(opened, missing))
    opened.write_overview()
    return True


def _refuse_let_go(opened: OpenWorkspace, missing: list[int]) -> None:
    if opened.ledger.keep != "examples":
        number = missing[0]
        raise UserError(
            f"stage {number} isn't recorded whole and can't be done anew: this workspace keeps {opened.ledger.keep}, "
            f"not the train examples. Go back before it with `inscl rollback {number - 1}`, and learn the later tasks "
            "again"
        )


def _refuse_erased(learned: Stream, missing: list[int]) -> None:
    """Raise where nothing is left to do a stage anew with."""
    for number in missing:
        task = learned.tasks[number - 1]
        if not len(task.train):
            raise UserError(
                f"stage {number} isn't recorded whole and can't be done anew: the train examples of {task.name} were "
                f"erased. Go back before it with `inscl rollback {number - 1}`, and learn the later tasks again"
            )


def _begin(opened: OpenWorkspace, prepared: Prepared) -> None:
    """Keep the examples of what is about to be learned, and note that it is waiting."""
    ledger, entries = opened.ledger, tuple(prepared.entries)
    former = {entry.key for entry in ledger.pending}
    new = [(entry, task) for entry, task in zip(entries, prepared.tasks, strict=True) if entry.key not in former]
    for entry, task in new:
        opened.memory.add(entry.key, task, {}, {})
    if entries == ledger.pending:
        return
    if (rejected := _kept_aside(opened, prepared)) and not former:
        # Before it counts: whoever goes on may do so without the data.
        record = opened.next_record(entries[0].name)
        record.begin()
        record.write_rows(REJECTED, rejected)
    opened.commit(pending=entries, next_key=ledger.next_key + len(new))
