"""The seams: the protocols of strategies, learners, refiners, embedders, taggers and scorers.

Everything is looked up by name through entry points (`inscl.config.kinds`), the built-ins included, so that a third
party's component is used exactly as ours are. Embedders, taggers and scorers are plain callables: a function will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inscl.contract.answer import Answer, LogLikelihood
    from inscl.contract.budget import Budget
    from inscl.contract.erased import Erased
    from inscl.contract.example import Example
    from inscl.contract.measured import Asked, Measured, Undefined
    from inscl.contract.plan import ReplayPlan
    from inscl.contract.question import Question
    from inscl.contract.refined import Refined
    from inscl.contract.scale import Scale
    from inscl.contract.task import Memory, Task

__all__ = [
    "Adapter",
    "Choosing",
    "Counting",
    "Describing",
    "Embedder",
    "Forgetting",
    "KeepingPrompts",
    "LearnReport",
    "Learner",
    "Likelihoods",
    "Measure",
    "NullProgress",
    "Persistent",
    "Progress",
    "Refiner",
    "ReplayStrategy",
    "Resumable",
    "Scorer",
    "Tagger",
    "Visiting",
]


class ReplayStrategy(Protocol):
    """Chooses the earlier examples to replay while a new task is learned."""

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Choose the replay for one stage; the same `rng` state gives the same plan."""
        ...


class Describing(ReplayStrategy, Protocol):
    """A strategy that notes of a task what it will need when the examples are gone (trait `describes`)."""

    def describe(self, task: Task, folder: Path) -> Sequence[Mapping[str, Any]]:
        """Note something of a task that the learner has just learned.

        It may be called again for the same task, after an interruption.

        Args:
            task: With its examples.
            folder: For files; it exists and is empty.

        Returns:
            Facts of plain JSON values, which later plans find in `Memory.noted`. They must hold no example. Where a
            workspace keeps nothing that may hold an input, facts in whose texts one stands are left out.
        """
        ...


@dataclass(frozen=True)
class LearnReport:
    """What learning one stage took.

    Attributes:
        steps: Optimiser steps.
        examples: New examples seen, all epochs together.
        replayed: Replayed examples seen, all epochs together.
        tokens: Prompt and answer tokens processed, padding not counted.
        answer_tokens: Tokens that carried loss.
        replay_tokens: The part of `tokens` that came from replayed examples.
        seconds: Wall time.
        loss: Mean training loss of the stage, nats per answer token.
        truncated: Examples whose prompt was shortened to fit; answers are never cut.
        visits: Id of an example -> its loss at its first and at its last visit, each before the step that trained on
            it, nats per answer token; only of a learner whose `measure_visits` is on.
        facts: What else the learner has to say of this stage, as plain JSON values by name.
    """

    steps: int
    examples: int
    replayed: int
    tokens: int
    answer_tokens: int
    replay_tokens: int
    seconds: float
    loss: float
    truncated: int = 0
    visits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Learner(Protocol):
    """Something that can be taught and asked. A fine-tuned model is one; a prompt with examples in it is another."""

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Learn `task` while rehearsing what `plan` picked, each pick as its weight and reason say."""
        ...

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Answer each question, greedily; the learner adds its own template. One answer a question, in order."""
        ...


class Persistent(Learner, Protocol):
    """A learner whose state can be saved and loaded (trait `saves`). Other learners are taught again on resume."""

    def save(self, folder: Path) -> None:
        """Write the state into `folder`, which exists and is empty."""
        ...

    def load(self, folder: Path) -> None:
        """Go on from the state in `folder`."""
        ...


class Forgetting(Persistent, Protocol):
    """A learner whose saved state holds examples (trait `forgets`), so that erasing them must reach it."""

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take what is erased out of the state in `folder`, so that none of its bytes are left; `load` still reads it.

        It is called with the class alone, and may be called again where there is nothing left to take.

        Args:
            folder: What `save` wrote into: a copy, which takes the place of the state when this returns.
            erased: What goes.
        """
        ...


class Resumable(Learner, Protocol):
    """A learner that can be interrupted within `learn` and `answer` and resumes there when called again.

    It declares the trait `resumes`.

    Attributes:
        progress_dir: Where it keeps what it has finished; set before each stage, None where nothing is to be kept. What
            it finds there may be of another stage or damaged, and is then not to be used.
    """

    progress_dir: Path | None


class Visiting(Learner, Protocol):
    """A learner that can report the losses of examples as training comes to them (trait `measures_visits`).

    Attributes:
        measure_visits: Whether `learn` reports them; off at first.
    """

    measure_visits: bool


class Likelihoods(Learner, Protocol):
    """A learner that computes the likelihood of given answers (trait `log_likelihoods`)."""

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """Summed nats and token counts of each answer after its question, the end of sequence included."""
        ...


class Choosing(Learner, Protocol):
    """A learner that computes the probability of each option of a question (trait `chooses`)."""

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question, in their order; they sum to one as probabilities.

        Args:
            questions: Each with at least one option.
            normalise: Compare options by nats a token; otherwise by their sums, which favour short ones.
        """
        ...


class KeepingPrompts(Learner, Protocol):
    """A learner that needn't read a question again that it has just answered (trait `keeps_prompts`)."""

    def keeping_prompts(self) -> AbstractContextManager[None]:
        """The context in which it is only asked, not taught; what it keeps must have a limit, and is gone at the end.

        Answers, likelihoods and choices are the same as without, but for rounding.
        """
        ...


class Counting(Learner, Protocol):
    """A learner that counts the tokens of an example as it would see them (trait `counts_tokens`)."""

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt and answer."""
        ...


class Measuring(Learner, Protocol):
    """A learner that knows how much its context holds (trait `measures_room`)."""

    def room_for(self, question: Question) -> int:
        """Tokens that the context leaves for an answer, if the question is read whole; 0 or less where it isn't."""
        ...


class Adapter(Protocol):
    """How a model is changed while it learns: ``model.adapter`` of a configuration.

    Its state is what PEFT writes of the wrapped model, or the whole model where the weights themselves change.
    """

    @property
    def keeps_base(self) -> bool:
        """Whether the weights that the model came with never change, so that they may be held in a shorter format."""
        ...

    @property
    def starts_fresh(self) -> bool:
        """Whether each stage begins on the model as it came."""
        ...

    @property
    def merges(self) -> bool:
        """Whether what a stage learned is added into the weights at its end."""
        ...

    def wrap(self, model: Any, base_name: str, stage: int = 1) -> Any:
        """A PEFT model around `model` for a stage (from 1), or `model` itself. What is new in it is random: seed first.

        Raises:
            ModelError: It doesn't fit the model.
        """
        ...

    def callbacks(self) -> list[Any]:
        """Transformers' `TrainerCallback`s that it takes to train it."""
        ...

    def to_json(self) -> dict[str, Any]:
        """``kind`` and parameters, as in a configuration: a state of another adapter is never loaded."""
        ...


class Refiner(Protocol):
    """Improves training data. Its version is declared in its trait `RefinerTraits`."""

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        """Say what becomes of each example: one `Refined` for each, in the order given; none is passed over.

        Args:
            examples: The train split of one task. Test examples are never given.
        """
        ...


class Embedder(Protocol):
    """Turns texts into vectors. An optional attribute `fingerprint` (str) lets results be cached on disk."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts; returns shape (n, d), float32, one row a text in the same order."""
        ...


class Tagger(Protocol):
    """Turns instructions into intention tags. An optional attribute `fingerprint` lets results be cached."""

    def __call__(self, instructions: Sequence[str]) -> list[list[str]]:
        """Tag n instructions; returns n lists of tags in the same order."""
        ...


class Scorer(Protocol):
    """Scores one answer. If its mean is not a percentage that is better when higher, `ScorerTraits` declare this."""

    def __call__(self, prediction: str, references: Sequence[str]) -> float:
        """Score, the best over the references; of a percentage in [0, 1], where an empty prediction scores 0."""
        ...


class Measure(Protocol):
    """Turns all answers of a task into one number. `MeasureTraits` declare its inputs, unit and direction.

    A class without parameters that declares ``traits``; what declares none is taken for a `Scorer`, whose mean counts.
    """

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure the test split of one task; at least one row."""
        ...


class Progress(Protocol):
    """Receives the progress of long work. The command line displays it; a program may ignore it.

    It only listens: nothing that is learned depends on it. Training itself is hooked by transformers' callbacks.
    """

    def stage(self, number: int, total: int, task: str) -> None:
        """Stage `number` of `total` begins."""
        ...

    def phase(self, name: str, total: int) -> None:
        """A phase of the stage begins ("embed", "plan", "train", "evaluate X"), of `total` steps."""
        ...

    def advance(self, done: int, **facts: Any) -> None:
        """`done` steps of the phase are finished; facts: loss, tokens_per_second."""
        ...

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """A task was scored; `scale` says in which unit and which direction is good."""
        ...

    def note(self, message: str) -> None:
        """Something the user should read."""
        ...


class NullProgress:
    """A `Progress` that does nothing."""

    def stage(self, number: int, total: int, task: str) -> None:
        """Ignore."""

    def phase(self, name: str, total: int) -> None:
        """Ignore."""

    def advance(self, done: int, **facts: Any) -> None:
        """Ignore."""

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """Ignore."""

    def note(self, message: str) -> None:
        """Ignore."""
