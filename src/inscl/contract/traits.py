"""Traits: what a component declares about itself beyond its methods. They are read here and nowhere else.

A component has a class attribute `traits`; without one the defaults below hold. Nobody looks for other attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from inscl.contract.objective import State
from inscl.contract.scale import Scale, one_of

__all__ = [
    "LearnerTraits",
    "MeasureTraits",
    "ObjectiveTraits",
    "RefinerTraits",
    "ScorerTraits",
    "StrategyTraits",
    "TaggerTraits",
    "traits_of",
]

Traits = TypeVar("Traits")
MeasuredOn = Literal["text", "choice", "likelihood"]


@dataclass(frozen=True)
class StrategyTraits:
    """Traits of a replay strategy.

    Attributes:
        uses_budget: Whether what it replays depends on the budget; a grid runs it once for all budgets otherwise.
        replays: Whether it ever replays anything.
        waits: Whether nothing is to be learned before the last task (joint training).
        rehearses_new_task: Whether its picks are of the task to be learned, and may come more than once.
        replays_all: Whether it replays all there is, whatever the budget; for estimates of cost.
        remembers: Whether it reads `Memory.past`. A strategy for which a parameter decides that sets it on the object.
        uses_visits: Whether it reads the losses in `Memory.past`, so that the learner has to measure them.
        writes: Whether its picks are made by it, for instructions of the tasks in memory, and not taken from there.
        summarises: Whether it has `summaries`, task name -> `TaskSummary`: what its last plan made, which the memory
            keeps for later ones (`Memory.summaries`). It may have `tagged` and `neighbours` too (`MadeOfTasks`).
        describes: Whether it has `describe(task, folder)`, called when a task was just learned and its examples are at
            hand. What it returns, and the files that it leaves in the folder, stay with the stage (`Memory.noted`).
        restores: Whether it goes back to the weights of earlier stages (`Noted.restore`). They are then kept as long
            as later stages may need them, whatever ``model.keep`` says, so that this decides no result.
        rounds: In how many parts a stage is learned, before each of which it plans anew (`inscl.engine.rounds`). A
            strategy for which a parameter decides that sets it on the object.
        added: Parameters that came after results had been recorded, and that change nothing at their default. They
            are left out of what decides a result while they have it, so that the earlier results are still found.
    """

    uses_budget: bool = True
    replays: bool = True
    waits: bool = False
    rehearses_new_task: bool = False
    replays_all: bool = False
    remembers: bool = False
    uses_visits: bool = False
    writes: bool = False
    summarises: bool = False
    describes: bool = False
    restores: bool = False
    rounds: int = 1
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class LearnerTraits:
    """Traits of a learner: which optional methods of `inscl.contract.seams` it has.

    Attributes:
        replays: Whether what it learns depends on what is replayed. One that keeps every example as it is needs no
            replay: it goes with the strategy ``none`` alone, and a grid runs it once for all strategies and budgets.
        trains: Whether learning changes weights. One that doesn't costs no training and has no model to export.
        saves: `save` and `load`: its state is kept with every stage; otherwise it is taught again when a run resumes.
        forgets: `forget`: its saved state holds examples, and erasing takes them out.
        forgets_in: The files of its state that `forget` changes; empty where that may be any. Others aren't copied.
        resumes: `progress_dir`: an interrupted `learn` or `answer` goes on where it was.
        logs: `log`: rows of the last stage's ``train_log.jsonl``.
        log_likelihoods: `log_likelihoods`.
        chooses: `choose`.
        counts_tokens: `count_tokens`, for budgets in tokens.
        measures_room: `room_for`: how long an answer to a question may be, so that nothing has to be shortened.
        images: Whether it takes questions with images; ``"model"`` if it does with a model that sees pictures.
        measures_visits: `measure_visits`, an attribute: while it is True, `learn` reports the loss of each example as
            it came up in training (`LearnReport.visits`).
        keeps_prompts: `keeping_prompts`: within that block it is only asked, so that it may keep what it has read.
        added: As for `StrategyTraits`.
        learns_alone: Whether `learn` has nothing to do with other processes. Of several, the first alone then learns,
            and the others load what it saved; without this, or without `saves`, all of them learn.
        wraps: Whether its parameter `learner` names another learner, whose state it keeps and whose other traits it
            has. The class says no more than that; the object has all of them.
        learns_in_parts: Whether `learn` may be called several times for one task, each time with a part of its
            examples, and then goes on from what the call before taught.
    """

    replays: bool = True
    trains: bool = True
    saves: bool = False
    forgets: bool = False
    forgets_in: tuple[str, ...] = ()
    resumes: bool = False
    logs: bool = False
    log_likelihoods: bool = False
    chooses: bool = False
    counts_tokens: bool = False
    measures_room: bool = False
    images: bool | Literal["model"] = False
    measures_visits: bool = False
    keeps_prompts: bool = False
    added: tuple[str, ...] = ()
    learns_alone: bool = False
    wraps: bool = False
    learns_in_parts: bool = False


@dataclass(frozen=True)
class TaggerTraits:
    """Of a tagger.

    Attributes:
        keeps_answers: Whether it keeps each answer on disk by itself, and knows best how many to have on their way.
        costs: Whether it has `estimate`, which says what tagging would cost.
        at_once: How many instructions it is asked for between two writes of the cache: what an interruption may lose.
    """

    keeps_answers: bool = False
    costs: bool = False
    at_once: int = 256


@dataclass(frozen=True)
class ScorerTraits(Scale):
    """Traits of a scorer, whose mean over the answers is the score of a task: how to read that mean.

    Attributes:
        unit: ``percent`` (of a number in [0, 1]), ``nats`` or ``number``.
        better: ``higher`` or ``lower``.
    """

    @property
    def scale(self) -> Scale:
        """Unit and direction alone, as they are recorded."""
        return Scale(self.unit, self.better)


@dataclass(frozen=True)
class MeasureTraits(ScorerTraits):
    """Traits of a measure, which receives all rows of a task. Declaring them makes a component a measure.

    Attributes:
        unit: ``percent`` (of a number in [0, 1]), ``nats`` or ``number``.
        better: ``higher`` or ``lower``.
        needs: ``text`` (generated answers), ``choice`` (log-probabilities of options), ``likelihood`` (of references).
    """

    needs: MeasuredOn = "text"

    def __post_init__(self) -> None:
        """Refuse needs that no learner could meet, besides what a scale refuses."""
        super().__post_init__()
        one_of("needs", self.needs, get_args(MeasuredOn))


@dataclass(frozen=True)
class ObjectiveTraits:
    """Of an objective.

    Attributes:
        sums_examples: Whether the loss of a batch is the sum of its examples' losses, and computing it changes nothing
            else. Parts of a batch are then taught on several threads at once, and packed examples share beginnings.
        reads: The states of the model under which it has examples read once more (`ObjectiveBatch.logits_of`): any of
            ``now``, ``before`` and ``base``. A copy of what a stage trains is kept only for one that reads ``before``.
        prepares: Whether it has `prepare`, which is called with all examples of a stage before the stage is trained.
        soft_targets: How many of the likeliest tokens at each position of an answer the learner keeps when it has
            learned a task, and gives back as `TaughtExample.soft` when an example is replayed; 0 keeps none.
    """

    sums_examples: bool = False
    reads: tuple[State, ...] = ()
    prepares: bool = False
    soft_targets: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown states, and reading on several threads: it switches adapters or weights that they share."""
        for state in self.reads:
            one_of("reads", state, get_args(State))
        if self.reads and self.sums_examples:
            raise ValueError("an objective that reads a state can't be called on several threads: no sums_examples")


@dataclass(frozen=True)
class RefinerTraits:
    """Of a refiner.

    Attributes:
        version: Of its method; another one whenever the same examples and parameters may come out otherwise.
        asks: Whether it asks language models. It then has `estimate(examples)`, which says what refining them would
            take at most; `spent`, what it took so far; and `fingerprint`, a text that names everything besides its
            version that decides what it makes: models and requests, not addresses.
        reads_models: Whether it reads a model's files, which may change while their name stays. It then has
            `fingerprint` as well, with a digest of the files in it.
        row_by_row: Whether what becomes of a row depends on that row alone, however many others it is given with. Parts
            of a task may then be refined by several workers (``inscl refine --on ray``).
    """

    version: str = "1"
    asks: bool = False
    reads_models: bool = False
    row_by_row: bool = False


def traits_of(component: Any, kind: type[Traits]) -> Traits:
    """The traits that a component declares; the defaults of `kind` where it declares none.

    Args:
        component: A class, a function or an object.
        kind: Which traits, as `StrategyTraits`.

    Raises:
        TypeError: It declares something else under that name.
    """
    found = getattr(component, "traits", None)
    if found is None:
        return kind()
    if not isinstance(found, kind):
        given = type(found).__name__
        raise TypeError(f"the attribute `traits` of {component!r} must be a {kind.__name__}, not {given}")
    return found
