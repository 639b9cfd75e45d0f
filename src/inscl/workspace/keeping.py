"""``--keep``: what stays of a task's train examples once it is learned."""

from __future__ import annotations

from functools import partial
from typing import cast

from inscl.config import kinds, wrapping
from inscl.config.settings import RunConfig
from inscl.contract import Task
from inscl.contract.described import Described, keeps_examples, texts_with_inputs
from inscl.contract.erased import Erased
from inscl.contract.seams import Forgetting
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.engine.open_run import OpenWorkspace
from inscl.engine.plan import NOTED
from inscl.errors import Problem
from inscl.storage.run.ledger import Keep, LearnedTask
from inscl.storage.run.stage_record import Record
from inscl.workspace.caches import clean_caches
from inscl.workspace.erasable import Erasable, strings

__all__ = ["keep_problems", "let_go"]


def keep_problems(settings: RunConfig, keep: Keep) -> list[Problem]:
    """Why a workspace that lets its examples go can't have these settings; none where it keeps them."""
    if keep == "examples":
        return []
    problems = []
    strategy = traits_of(kinds.load("strategies", settings.replay.strategy), StrategyTraits)
    if strategy.replays and not strategy.writes and not strategy.rehearses_new_task:
        said = f"{settings.replay.strategy} replays old examples, and with --keep {keep} there are none: use pseudo"
        problems.append(Problem("replay.strategy", said))
    learner = traits_of(_learner(settings), LearnerTraits)
    if not learner.saves or (learner.forgets and not learner.forgets_in):
        said = f"{settings.training.learner} needs the examples that it learned: use --keep examples, or fine_tune"
        problems.append(Problem("training.learner", said))
    return problems


def let_go(opened: OpenWorkspace, entry: LearnedTask, record: Record) -> int:
    """Take the train examples of a task that was learned out of the workspace and the caches, as its ``keep`` says.

    It may be interrupted anywhere and called again.

    Args:
        opened: The workspace, held for writing.
        entry: The task; it doesn't count yet.
        record: Its stage, which is recorded whole.

    Returns:
        Of how many of its examples not even a stand-in is left.
    """
    keep, store = opened.ledger.keep, opened.memory
    if keep == "examples":
        return 0
    task = store.task(entry.key)
    if keeps_examples(task):
        described = Described.of(task)
        if keep == "none":
            described = described.holding_no_input(task)
        kept = described.stand_ins()
        goes = Erasable(frozenset(), frozenset(), None)
        for example in task.train:
            goes.note(example)
        for example in (*kept.train, *task.test):
            goes.leave(example)
        _let_go_of_state(opened, entry, record)
        if keep == "none":
            _let_go_of_written(record)
            _let_go_of_noted(record, task)
        clean_caches(goes)
        # Last, since it is what tells that the rest is still to be done.
        store.replace_train(entry.key, kept.train)
    left = store.task(entry.key)
    return entry.train + entry.test - entry.erased - len(left.train) - len(left.test)


def _let_go_of_state(opened: OpenWorkspace, entry: LearnedTask, record: Record) -> None:
    """Take out of the learner's state what it holds of examples; it may have brought those of earlier tasks along."""
    learner = _learner(opened.settings_with(entry.settings))
    traits = traits_of(learner, LearnerTraits)
    if traits.forgets:
        erased = Erased(frozenset([*opened.ledger.names, entry.name]))
        forget = cast(type[Forgetting], learner).forget
        if record.change_model(partial(forget, erased=erased), traits.forgets_in):
            record.finish()


def _let_go_of_written(record: Record) -> None:
    """Take the texts out of what was replayed: a model may have written an input that it had learned, word by word."""
    rows = record.rows("replay.jsonl")
    record.write_rows("replay.jsonl", [{**row, "input": "", "outputs": [""]} for row in rows])
    record.finish()


def _let_go_of_noted(record: Record, task: Task) -> None:
    """Take out what was noted of a task and has one of its inputs in it."""
    if not record.has(NOTED):
        return
    rows = record.rows(NOTED)
    said = ["\n".join(strings(row["provenance"])) for row in rows]
    held = texts_with_inputs(said, (example.input for example in task.train))
    record.write_rows(NOTED, [row for row, text in zip(rows, said, strict=True) if text not in held])
    record.finish()


def _learner(settings: RunConfig) -> kinds.Factory:
    return kinds.load("learners", wrapping.unwrapped(settings.training.learner, settings.training.params))
