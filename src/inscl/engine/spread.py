"""A learner on several processes: taught on all of them together or on the first one alone, asked by rows."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from inscl.config.settings import RunConfig
from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.example import Turn
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine.processes import Channel, others_alive, rank
from inscl.errors import DataError

__all__ = ["Spread", "follow"]

Found = TypeVar("Found")


class Spread:
    """The learner of rank 0, which has the learners of the other ranks do as it does.

    Whatever isn't defined here is the learner's own: traits, count of tokens, log. Only rank 0 saves. All ranks hold
    the same state, but for that of a learner that learns alone, which the others load when it is saved; until then
    they aren't asked.

    Args:
        learner: Of this rank.
        config: What the others make theirs of.
        channel: To them.
    """

    _numbers = itertools.count()
    _gone: list[int] = []  # noqa: RUF012 - of all learners together: the next message carries them

    def __init__(self, learner: Any, config: RunConfig, channel: Channel) -> None:
        self._own, self._config, self._channel = learner, config, channel
        self._ahead = False  # of the others
        self._number = next(Spread._numbers)
        weakref.finalize(self, Spread._gone.append, self._number)

    def __getattr__(self, name: str) -> Any:
        """The learner's own."""
        return getattr(self._own, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Attributes of learners are set on the learner itself."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._own, name, value)

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Teach every rank the same task by the same plan, or this one alone if the learner learns alone."""
        _refuse_images([*task.train, *plan.examples])
        traits = traits_of(self._own, LearnerTraits)
        if traits.learns_alone and traits.saves:
            self._ahead = True
            alone: LearnReport = self._own.learn(task, plan)
            return alone
        taught = {"task": task.name, "train": [example.to_json() for example in task.train]}
        planned = {"plan": plan.to_json(), "picks": [pick.to_json() for pick in plan.picks]}
        visits = bool(getattr(self._own, "measure_visits", False))
        self._tell("learn", {**taught, **planned, "visits": visits, "progress_dir": self._kept})
        with others_alive():
            report: LearnReport = self._own.learn(task, plan)
        return report

    def save(self, folder: Path) -> None:
        """Save this rank's state; where it is ahead of the others, they load it."""
        self._own.save(folder)
        if self._ahead:
            self._others_load(folder)

    def load(self, folder: Path) -> None:
        """Load the same state on every rank; the folder must be on a disk that all of them see."""
        self._others_load(folder)
        self._own.load(folder)

    def _others_load(self, folder: Path) -> None:
        self._tell("load", {"folder": str(Path(folder).resolve())})
        self._ahead = False

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Answers in order, each rank's share by that rank."""
        rows = _plain(questions)
        return self._shared("answer", rows, {"max_new_tokens": max_new_tokens}, lambda row: Answer(*_tupled(row)))

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """Likewise."""
        rows = [[row, answer] for row, answer in zip(_plain(questions), answers, strict=True)]
        return self._shared("log_likelihoods", rows, {}, lambda row: LogLikelihood(*row))

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Likewise."""
        return self._shared("choose", _plain(questions), {"normalise": normalise}, tuple)

    def _shared(
        self, what: str, rows: Sequence[Any], more: Mapping[str, Any], read: Callable[[Any], Found]
    ) -> list[Found]:
        """What the ranks find for rows, dealt out in turn so that every rank has some of each task."""
        if self._ahead:
            return [read(found) for found in _ASKED[what](self._own, list(rows), more)]
        self._tell(what, {"rows": list(rows), **more, "progress_dir": self._kept})
        found = [_ASKED[what](self._own, rows[:: self._channel.ranks], more), *self._channel.replies()]
        return [read(found[place % self._channel.ranks][place // self._channel.ranks]) for place in range(len(rows))]

    @property
    def _kept(self) -> str | None:
        kept = getattr(self._own, "progress_dir", None)
        return None if kept is None else str(kept.resolve())

    def _tell(self, what: str, message: Mapping[str, Any]) -> None:
        gone = [Spread._gone.pop() for _ in range(len(Spread._gone))]
        known = {"do": what, "learner": self._number, "config": self._config.model_dump(mode="json"), "gone": gone}
        self._channel.tell({**known, **message})


def follow(channel: Channel, make: Callable[[RunConfig], Any]) -> None:
    """On a rank that isn't the first: do what rank 0 tells until it tells nothing more.

    Args:
        channel: To rank 0.
        make: From a configuration to a learner that has learned nothing yet.
    """
    learners: dict[int, Any] = {}
    while (message := channel.hear()) is not None:
        for number in message["gone"]:
            learners.pop(number, None)
        number, what = message["learner"], message["do"]
        if number not in learners:
            learners[number] = make(RunConfig(**message["config"]))
        learner = learners[number]
        if hasattr(learner, "progress_dir"):
            kept = message.get("progress_dir")
            learner.progress_dir = Path(kept) if kept else None
        if what == "learn":
            _learn(learner, message)
        elif what == "load":
            learner.load(Path(message["folder"]))
        else:
            channel.reply(_ASKED[what](learner, message["rows"][rank() :: channel.ranks], message))


def _learn(learner: Any, message: Mapping[str, Any]) -> None:
    plan = ReplayPlan.from_json(message["plan"], message["picks"])
    if hasattr(learner, "measure_visits"):
        learner.measure_visits = message["visits"]
    with others_alive():
        learner.learn(Task(message["task"], tuple(map(Example.from_json, message["train"]))), plan)


def _answer(learner: Any, rows: Sequence[Any], more: Mapping[str, Any]) -> list[Any]:
    found = learner.answer(list(map(_question, rows)), max_new_tokens=more["max_new_tokens"])
    return [[one.text, one.option_log_probabilities, one.prompt_tokens, one.answer_tokens] for one in found]


def _log_likelihoods(learner: Any, rows: Sequence[Any], more: Mapping[str, Any]) -> list[Any]:
    found = learner.log_likelihoods([_question(row[0]) for row in rows], [row[1] for row in rows]) if rows else []
    return [[one.nats, one.tokens, one.correct] for one in found]


def _choose(learner: Any, rows: Sequence[Any], more: Mapping[str, Any]) -> list[Any]:
    found = learner.choose(list(map(_question, rows)), normalise=more["normalise"]) if rows else []
    return [list(one) for one in found]


_ASKED: Mapping[str, Callable[[Any, Sequence[Any], Mapping[str, Any]], list[Any]]] = MappingProxyType(
    {"answer": _answer, "log_likelihoods": _log_likelihoods, "choose": _choose}
)


def _plain(questions: Sequence[Question]) -> list[dict[str, Any]]:
    _refuse_images(questions)
    return [asdict(question) for question in questions]


def _question(row: Mapping[str, Any]) -> Question:
    """What `_plain` made of a question, through JSON or not."""
    turns = tuple(Turn(**turn) for turn in row["turns"])
    return Question(**{**row, "turns": turns, "options": tuple(row["options"]), "images": ()})


def _refuse_images(rows: Sequence[Question | Example]) -> None:
    """Refuse what isn't told to other processes.

    Raises:
        DataError: A row has pictures.
    """
    if any(row.images for row in rows):
        raise DataError("rows with pictures can't be shared among processes: give the command without a launcher")


def _tupled(row: Sequence[Any]) -> list[Any]:
    text, options, *counts = row
    return [text, None if options is None else tuple(options), *counts]
