"""Reference Trustable Decoding: a task is learned by keeping the states that predict its answers; no weight changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits
from inscl.errors import ConfigError, DataError, Problem
from inscl.learners.asking import Asking, refuse_images
from inscl.learners.datastore.neighbours import AUTO
from inscl.learners.datastore.rotations import rotations
from inscl.learners.datastore.store import Datastore, Reference
from inscl.learners.datastore.voting import Voting
from inscl.learners.out_of_memory import memory_enough
from inscl.learners.settings import problems_of
from inscl.models import names as model_names
from inscl.models.language_model import LanguageModel
from inscl.models.precision import PRECISIONS
from inscl.models.prompts import FORMS, Encoded
from inscl.models.saved_record import read_saved_stage, write_saved_stage
from inscl.storage.files.integrity import content_digest

__all__ = ["RTD"]

_OWN = "training.params."


class RTD:
    r"""Reference Trustable Decoding (Shi et al., NeurIPS 2024, arXiv 2409.20181).

    For every position of a learned answer the datastore holds the state that predicts it and the token that followed.
    When it answers, the k nearest states vote for what follows, and the vote is mixed with the model's own
    distribution:

    .. math::
        p(v) = \sum_{i \in N} w_i \left[ \lambda_i\, 1(v_i = v) + (1 - \lambda_i)\, p_{LM}(v) \right]

    with weights :math:`w` of `inscl.learners.datastore.neighbours`, and :math:`\lambda_i` the mixture weight of the
    task that neighbour i comes from. With the same weight for all tasks this is :math:`\lambda r(v) + (1 - \lambda)
    p_{LM}(v)`. In a choice v is an option, and only the states at first positions are searched.

    Search, votes and slices are those of the paper's code, whose votes are options and which takes the votes alone.
    Tokens as votes and the mixture are known from descriptions of the paper. On which side :math:`\lambda` stands,
    ``auto`` in temperature and mixture, and all that concerns a stream of tasks are reconstructions; docs/learners.md
    says which is which.

    Learning appends, so the order of tasks changes nothing, and a task or an example that is taken out leaves no trace.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        k: Neighbours in each slice.
        heads: Slices of a state that are searched by themselves.
        temperature: T, more than 0, which depends on the scale of the model's states; ``auto`` takes it from the
            distances of the neighbours.
        mixture: The weight of the datastore, at least 0 and below 1; ``auto`` chooses one for each task on held-out
            answers.
        held_out: Most examples of a task that ``auto`` holds out to choose the weight; they vote all the same.
        cyclic: Whether an example with options that stand in its input is kept in each of their cyclic orders, so that
            no place or letter counts by itself; see `inscl.learners.datastore.rotations`.
        max_length: Most tokens of a prompt with its answer; the model's own limit where that is smaller.
        prompt: ``chat`` or ``plain``; see `inscl.models.prompts`.
        precision: ``auto`` (bf16 where the machine has it), ``bf16`` or ``fp32``.
        generation_batch_size: Prompts read or answered at a time.
        progress: Who is told.

    Attributes:
        stage: How often it has learned.
        store: What it has learned.
        progress_dir: A folder that outlives this process: an interrupted `answer` goes on from what it finds there.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
    """

    traits = LearnerTraits(
        replays=False,
        trains=False,
        saves=True,
        forgets=True,
        resumes=True,
        log_likelihoods=True,
        chooses=True,
        counts_tokens=True,
        measures_room=True,
        learns_alone=True,
        added=("cyclic",),
    )

    def __init__(
        self,
        model: str = model_names.DEFAULT_MODEL,
        *,
        k: int = 32,
        heads: int = 1,
        temperature: float | str = AUTO,
        mixture: float | str = AUTO,
        held_out: int = 64,
        cyclic: bool = False,
        max_length: int = 1024,
        prompt: str = "chat",
        precision: str = "auto",
        generation_batch_size: int = 32,
        progress: Progress | None = None,
    ) -> None:
        own = {"k": k, "heads": heads, "held_out": held_out}
        problems = problems_of(
            {"model.prompt": (prompt, FORMS), "model.precision": (precision, PRECISIONS)},
            {**{f"{_OWN}{name}": (value, 1) for name, value in own.items()}, "training.max_length": (max_length, 1)},
        )
        if problems := [*problems, *_problems(temperature, mixture, cyclic)]:
            raise ConfigError(problems)
        self.model = LanguageModel(model, precision)
        self._cyclic = cyclic
        self.progress: Progress = progress or NullProgress()
        self.progress_dir: Path | None = None
        self.stage = 0
        self._votes: dict[str, Any] = {
            "k": k,
            "heads": heads,
            "temperature": temperature,
            "mixture": mixture,
            "held_out": held_out,
        }
        self._take(Datastore())
        self._form, self._max_length, self._batch_size = prompt, max_length, generation_batch_size

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Add the examples of `task`, and those of `plan`, to the datastore; what is in it already stays as it is.

        Raises:
            DataError: There is nothing to learn, an answer is longer than `max_length`, or an example has images.
            ConfigError: There are more heads than a state has dimensions.
            ModelError: The model can't be loaded.
        """
        started = time.perf_counter()
        examples = [(task.name, example) for example in task.train]
        examples += [(pick.task, pick.example) for pick in plan.picks]
        if not examples:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        refuse_images([Question.of(example) for _, example in examples])
        turned = self._turned(examples)
        encoded = [self._asking.encoder.encode(one.example) for one in turned]
        self._asking.tell_shortened(encoded, f"fit max_length {self._asking.max_length}")
        self._take(self.store.adding(self._references(turned, encoded)))
        self.stage += 1
        return LearnReport(
            steps=0,
            examples=len(task.train),
            replayed=len(plan.picks),
            tokens=0,
            answer_tokens=0,
            replay_tokens=0,
            seconds=time.perf_counter() - started,
            loss=0.0,
            truncated=sum(one.truncated for one in encoded),
        )

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Greedy answers under the mixture, in order, without surrounding white space."""
        names = [[one.task, one.id, *([one.turn] if one.turn else [])] for one in self.store.references]
        kept = None if self.progress_dir is None else self.progress_dir / content_digest(names)[:16]
        with self.model.changing(self._voting.tokens):
            return self._asking.answer(questions, max_new_tokens, kept)

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is under the mixture, token by token; see `inscl.learners.asking.Asking`.

        Raises:
            DataError: An answer is longer than `max_length`, or a question has images.
        """
        with self.model.changing(self._voting.tokens):
            return self._asking.log_likelihoods(questions, answers)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question.

        Neighbours vote for the option that their own answer is, but for space around it; those whose answer is none of
        the options don't count. Where that is all of them, the model's own choice is what remains.

        Args:
            questions: Each with at least one option.
            normalise: Whether the model itself compares options by nats a token; otherwise by their sums.

        Raises:
            DataError: A question has no options or has images, or an option is longer than `max_length`.
        """
        alone = self._asking.choose(questions, normalise)
        if not questions or not self.store.references:
            return alone
        return self._voting.options(self._first_states(questions), [one.options for one in questions], alone)

    def room_for(self, question: Question) -> int:
        """Tokens that the context leaves for an answer to a question that is read whole."""
        return self._asking.room_for(question)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence, before any shortening: for a budget in tokens."""
        return self._asking.encoder.count_tokens(example)

    def save(self, folder: Path) -> None:
        """Write the datastore into `folder`, as safetensors and JSON lines."""
        self.store.write(folder)
        write_saved_stage(folder, self.stage, self.model.name, self._identity)

    def load(self, folder: Path) -> None:
        """Go on from the state in `folder`.

        Raises:
            ModelError: It is of another learner, model or form of prompt, or it is damaged.
        """
        stage = read_saved_stage(folder, self._identity)
        self._take(Datastore.read(folder))
        self.stage = stage

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take erased examples out of the state in `folder`."""
        Datastore.forget(folder, erased)

    @property
    def mixtures(self) -> dict[str, float]:
        """The mixture weight of each task, by name."""
        return self._voting.mixtures

    @property
    def _identity(self) -> dict[str, str]:
        """What a saved state must share with this learner: another prompt or model would make other keys."""
        return {"learner": "rtd", "prompt": self._form, "fingerprint": model_names.fingerprint(self.model.path)}

    @cached_property
    def _asking(self) -> Asking:
        length = self.model.within_context(self._max_length)
        return Asking(self.model, self._form, length, self._batch_size, self.progress)

    def _take(self, store: Datastore) -> None:
        self.store = store
        self._voting = Voting(store, **self._votes)

    def _turned(self, examples: Sequence[tuple[str, Example]]) -> list[_Turned]:
        """The examples, which come with the names of their tasks, and, if that is wanted, their rotations."""
        found = [_Turned(task, example.id, example) for task, example in examples]
        if not self._cyclic:
            return found
        choices = [one for one in found if len(one.example.options) > 1]
        more = [
            one._replace(example=example, turn=turn)
            for one in choices
            for turn, example in enumerate(rotations(one.example), start=1)
        ]
        if as_they_are := len(choices) - len({(one.task, one.id) for one in more}):
            self.progress.note(
                f"{as_they_are} of {len(choices)} examples with options are kept in one order alone: their options "
                "don't stand in their input, each once"
            )
        return [*found, *more]

    def _references(self, examples: Sequence[_Turned], encoded: Sequence[Encoded]) -> list[Reference]:
        """What is kept of each of the examples."""
        with memory_enough("reading references", "evaluation.batch_size"):
            states = self.model.answer_states(encoded, batch_size=self._batch_size)
        width = states[0].hidden.shape[1]
        if self._votes["heads"] > width:
            raise ConfigError([Problem(f"{_OWN}heads", f"the model's states have {width} dimensions only: lower it")])
        found = []
        for kept, one, state in zip(examples, encoded, states, strict=True):
            values = np.array(one.tokens[one.prompt_length :], dtype=np.int64)
            said = kept.example.output, state.hidden, values, state.log_probabilities
            found.append(Reference(kept.task, kept.id, *said, turn=kept.turn))
        return found

    def _first_states(self, questions: Sequence[Question]) -> NDArray[np.float32]:
        """The state that predicts the first token after each question, shape (n, d)."""
        encoder = self._asking.encoder
        rooms = [self._asking.room_beside_options(question) for question in questions]
        prompts = [encoder.prompt(one.conversation, room).tokens for one, room in zip(questions, rooms, strict=True)]
        asked = [Encoded([*tokens, self.model.pad_token], len(tokens)) for tokens in prompts]
        return np.concatenate([one.hidden for one in self.model.answer_states(asked, batch_size=self._batch_size)])


class _Turned(NamedTuple):
    """An example to be kept: its task, the id it is known and erased by, and by how many places its options moved."""

    task: str
    id: str
    example: Example
    turn: int = 0


def _problems(temperature: Any, mixture: Any, cyclic: Any) -> Iterator[Problem]:
    """What is wrong with the settings that may be other things than whole numbers."""
    if temperature != AUTO and not (_number(temperature) and 0 < temperature < float("inf")):
        said = f"a number above 0, or {AUTO!r}, was expected, got {temperature!r}"
        yield Problem(f"{_OWN}temperature", said)
    if mixture != AUTO and not (_number(mixture) and 0 <= mixture < 1):
        said = f"a number of at least 0 and below 1, or {AUTO!r}, was expected, got {mixture!r}"
        yield Problem(f"{_OWN}mixture", said)
    if not isinstance(cyclic, bool):
        yield Problem(f"{_OWN}cyclic", f"true or false was expected, got {cyclic!r}")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
