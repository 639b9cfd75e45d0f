"""Dual increments: a frozen model whose rows get low-rank increments that their instructions choose from a pool."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder, LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits
from inscl.errors import DataError
from inscl.learners.asking import Asking
from inscl.learners.demonstrations.settings import embedder_of
from inscl.learners.increments.applying import shapes
from inscl.learners.increments.model import IncrementedModel
from inscl.learners.increments.pool import Pool, digest_of
from inscl.learners.increments.teaching import Teaching, align
from inscl.learners.settings import check
from inscl.models import names as model_names
from inscl.models.precision import PRECISIONS
from inscl.models.prompts import FORMS
from inscl.models.saved_record import read_saved_stage, write_saved_stage

if TYPE_CHECKING:
    import torch

__all__ = ["DualIncrement"]

_OWN = "training.params."


class DualIncrement:
    r"""The dual increments of Continual LLaVA (arXiv 2411.02564), for texts and pictures.

    The model is frozen. A pool holds N keys, each with a low-rank pair :math:`P_n = B_n A_n` for the output projection
    of every attention layer. A question's instruction, embedded as q, chooses the M nearest keys. Its row is read with

    .. math::
        W = W_0 + \sum_{m=1}^{M} c_m P_{i_m} + \sum_{l<t} w_l \bar z_l, \qquad
        c_m = \cos(q, k_{i_m}) / \sum_{j} \cos(q, k_{i_j})

    where :math:`\bar z_l` is the mean of the intrinsic increments of the earlier task l as they were then, which no
    gradient reaches. A task is learned in two stages: the chosen keys are turned towards the queries
    (`inscl.learners.increments.teaching.align`), then the chosen pairs and the :math:`w_l` are trained on the answers.

    Known from secondary sources: no code was released. docs/learners.md says what is a reconstruction.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        keys: N, keys in the pool.
        chosen: M, how many of them a question chooses; at most `keys`.
        rank: R, of each pair.
        alignment_steps: Steps of the first stage, each over all instructions.
        alignment_rate: Learning rate of the first stage.
        embedder: Name of an embedder, ``{"name": ..., "params": {...}}``, or a function from texts to vectors.
        epochs: Passes over the training examples in the second stage.
        learning_rate: Of Adam in the second stage.
        batch_size: Training examples per step.
        max_length: Most tokens of prompt and answer; the model's own limit where that is smaller.
        prompt: ``chat`` or ``plain``.
        precision: ``auto`` (bf16 where the machine has it), ``bf16`` or ``fp32``.
        seed: Decides the pool at first, and with the name of a task the order of its training.
        generation_batch_size: Prompts answered at a time.
        progress: Who is told, among other things how many keys were never chosen.

    Attributes:
        stage: How often it has learned.
        log: A row for each step of the last stage.
        progress_dir: A folder that outlives this process: an interrupted `answer` goes on from what it finds there.
        pool: What was learned; None before the first task.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
        UnknownComponentError: There is no such embedder.
    """

    traits = LearnerTraits(
        trains=False,
        saves=True,
        resumes=True,
        logs=True,
        log_likelihoods=True,
        chooses=True,
        counts_tokens=True,
        measures_room=True,
        images="model",
        learns_alone=True,
    )

    def __init__(
        self,
        model: str = model_names.DEFAULT_MODEL,
        *,
        keys: int = 32,
        chosen: int = 4,
        rank: int = 8,
        alignment_steps: int = 100,
        alignment_rate: float = 0.01,
        embedder: str | Mapping[str, Any] | Embedder = "model",
        epochs: float = 2,
        learning_rate: float = 1e-3,
        batch_size: int = 8,
        max_length: int = 1024,
        prompt: str = "chat",
        precision: str = "auto",
        seed: int = 0,
        generation_batch_size: int = 32,
        progress: Progress | None = None,
    ) -> None:
        counts = {"chosen": chosen, "rank": rank, "alignment_steps": alignment_steps}
        least = chosen if isinstance(chosen, int) else 1
        check(
            {"model.prompt": (prompt, FORMS), "model.precision": (precision, PRECISIONS)},
            {f"{_OWN}keys": (keys, max(1, least)), "training.max_length": (max_length, 1)}
            | {f"{_OWN}{name}": (value, int(name != "alignment_steps")) for name, value in counts.items()},
            {f"{_OWN}alignment_rate": (alignment_rate, None)},
            "dual_increment",
        )
        self.model = IncrementedModel(model, precision)
        self.progress: Progress = progress or NullProgress()
        self.progress_dir: Path | None = None
        self.stage, self.log = 0, list[dict[str, Any]]()
        self.pool: Pool | None = None
        self._keys, self._chosen, self._rank, self._seed = keys, chosen, rank, seed
        self._alignment = (alignment_steps, alignment_rate)
        self._form, self._max_length, self._batch_size = prompt, max_length, generation_batch_size
        self._teaching = Teaching(self.model, epochs, learning_rate, batch_size)
        self._embed = embedder_of(embedder, model)

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Align keys and train pairs on `task` and on what the plan replays; averages of earlier tasks stay.

        Raises:
            DataError: There is nothing to learn, an answer is longer than `max_length`, or an example has images that
                the model can't see.
            ModelError: The model can't be loaded, or the loss is no longer finite.
        """
        started = time.perf_counter()
        own = {example.id for example in task.train}
        weighted = [(example, 1.0) for example in task.train]
        weighted += [(pick.example, pick.weight) for pick in plan.picks]
        examples = [example for example, _ in weighted]
        if not examples:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        rows = [self._asking.encoder.encode(example) for example in examples]
        chance = np.random.default_rng(list(hashlib.sha256(f"{self._seed}/{task.name}".encode()).digest()))
        self.model.hold()
        queries = self._queries([example.instruction for example in examples])
        pool = self._copied(queries.shape[1])
        # A task that is learned again isn't one of its own earlier tasks.
        pool.averages.pop(digest_of(task.name), None)
        align(pool, queries, self._chosen, *self._alignment)
        chosen = pool.choose(queries, self._chosen)
        self.progress.phase("train", self._teaching.passes.steps(len(rows)))
        teaching = replace(self._teaching, advance=self.progress.advance)
        took = teaching.teach(pool, chosen, rows, [weight for _, weight in weighted], chance)
        average = pool.average(chosen.of(list(range(len(task.train) or len(rows)))))
        # In the order in which they are read back, so that sums have the same bits in a run that was resumed.
        pool.averages = dict(sorted((pool.averages | {digest_of(task.name): average}).items()))
        pool.used = pool.used + chosen.places.flatten().bincount(minlength=len(pool.used))
        self.pool, self.log = pool, took.log
        self.stage += 1
        self._tell_usage(task, pool, len(chosen.places.unique()))
        replayed = [(one, count) for one, count in zip(examples, took.seen, strict=True) if one.id not in own]
        replay_tokens = sum(count * self.count_tokens(one) for one, count in replayed)
        truncated = sum(row.truncated for row in rows)
        return took.report(task, plan, replay_tokens, truncated, time.perf_counter() - started)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Greedy answers, in order, without surrounding white space, each with the increment of its instruction."""
        kept = None if self.progress_dir is None else self.progress_dir / self._digest()
        with self._incremented(questions):
            return self._asking.answer(questions, max_new_tokens, kept)

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is, end of sequence included.

        Raises:
            DataError: An answer is longer than `max_length`, or a question has images that the model can't see.
        """
        with self._incremented(questions):
            return self._asking.log_likelihoods(questions, answers)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question; see `Asking.choose`.

        Raises:
            DataError: A question has no options, or images that the model can't see, or an option is longer than
                `max_length`.
        """
        with self._incremented(questions):
            return self._asking.choose(questions, normalise)

    def room_for(self, question: Question) -> int:
        """Tokens that the context leaves for an answer to a question that is read whole."""
        return self._asking.room_for(question)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence."""
        return self._asking.encoder.count_tokens(example)

    def save(self, folder: Path) -> None:
        """Write the pool and a file for the average of each task into `folder`, as safetensors."""
        if self.pool is not None:
            self.pool.write(folder)
        write_saved_stage(folder, self.stage, self.model.name, self._identity)

    def load(self, folder: Path) -> None:
        """Go on from the state in `folder`.

        Raises:
            ModelError: It is of another learner, model, pool or form of prompt, or it is damaged.
        """
        stage = read_saved_stage(folder, self._identity)
        self.pool, self.stage = Pool.read(folder), stage

    @property
    def _identity(self) -> dict[str, Any]:
        """What a saved state must share with this learner."""
        fingerprint = model_names.fingerprint(self.model.path)
        of_pool = {"keys": self._keys, "chosen": self._chosen, "rank": self._rank}
        return {"learner": "dual_increment", "prompt": self._form, "fingerprint": fingerprint, **of_pool}

    @cached_property
    def _asking(self) -> Asking:
        length = self.model.within_context(self._max_length)
        return Asking(self.model, self._form, length, self._batch_size, self.progress, sees=True)

    def _queries(self, instructions: Sequence[str]) -> torch.Tensor:
        """A frozen vector for each instruction; each distinct one is embedded once."""
        import torch

        distinct = list(dict.fromkeys(instructions))
        vectors = torch.tensor(np.asarray(self._embed(distinct), dtype=np.float32))
        places = {text: place for place, text in enumerate(distinct)}
        return vectors[[places[text] for text in instructions]]

    def _copied(self, width: int) -> Pool:
        """The pool, to be changed while the learner still has the old one; a new one before the first task."""
        if self.pool is None:
            return Pool.new(self._keys, self._rank, width, shapes(self.model.model), self._seed)
        pool = self.pool
        return replace(pool, down=dict(pool.down), up=dict(pool.up), averages=dict(pool.averages))

    def _incremented(self, questions: Sequence[Question]) -> AbstractContextManager[None]:
        if self.pool is None or not questions:
            return nullcontext()
        queries = self._queries([question.instruction for question in questions])
        return self.model.incremented(self.pool, self.pool.choose(queries, self._chosen))

    def _digest(self) -> str:
        """Of the pool: what was answered with another isn't taken up."""
        found = hashlib.sha256()
        if self.pool is not None:
            contextual = [f"{task}={weight!r}" for task, weight in sorted(self.pool.weights.items())]
            found.update("\n".join(contextual).encode())
            for one in (self.pool.keys, *self.pool.down.values(), *self.pool.up.values()):
                found.update(one.numpy().tobytes())
        return found.hexdigest()[:16]

    def _tell_usage(self, task: Task, pool: Pool, now: int) -> None:
        ever = int((pool.used > 0).sum())
        self.progress.note(
            f"task {task.name}: {now} of {len(pool.used)} keys were chosen; {len(pool.used) - ever} were never chosen "
            "by any task, so their pairs have learned nothing"
        )
