"""Context-aware prompt tuning: a task is learned by tuning the embeddings of its demonstrations; no weight changes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.example import Turn
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder, LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits
from inscl.errors import DataError
from inscl.learners.asking import refuse_images
from inscl.learners.context_tuning.behind import FIND, Behind, soft_ids
from inscl.learners.context_tuning.context import Context, Member
from inscl.learners.context_tuning.contexts import Contexts
from inscl.learners.context_tuning.drawing import Drawn, draw
from inscl.learners.context_tuning.encoder import ContextAsking, ContextEncoder
from inscl.learners.context_tuning.tuning import Tuned, Tuning
from inscl.learners.demonstrations.settings import embedder_of
from inscl.learners.descent import Descent
from inscl.learners.settings import check
from inscl.models import names as model_names
from inscl.models.language_model import LanguageModel
from inscl.models.precision import PRECISIONS
from inscl.models.prompts import FORMS
from inscl.models.saved_record import read_saved_stage, write_saved_stage

__all__ = ["CPT"]

_OWN = "training.params."


class CPT:
    r"""Context-aware Prompt Tuning (arXiv 2410.17222).

    The tokens of `k` demonstrations stand before every question of a task. What is learned is how far each token's
    embedding moves, within a ball whose radius depends on the token's role; answers and separators never move:

    .. math::
        e_j = E[x_j] + \delta_j, \qquad \lVert \delta_j \rVert_2 \le \epsilon_{role(j)} \sqrt{d / 2048}

    The loss counts the answer of a training example and, decayed by distance, the answers in the context; see
    `inscl.learners.context_tuning.tuning.Tuning`. Roles, balls and loss are those of PEFT's implementation, which its
    tests compare with. All that concerns a stream of tasks is a reconstruction; docs/learners.md says which is which.

    Each task has a context of its own, which stays as it is, bit for bit, when another is learned.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        k: Demonstrations of a context, at least 1; fewer where they don't fit.
        replayed: How many of them come from what the plan replays of other tasks; they stand first.
        epsilon_input: Radius of the tokens of inputs, at a hidden size of 2048.
        epsilon_format: Radius of the tokens of the template.
        decay: What the answer of a demonstration counts in the loss, beside that of the one behind it; above 0, at
            most 1.
        find: How a question finds its context: by its ``instruction``, or by the name of its ``task`` where one is
            given that was learned.
        embedder: Name of an embedder, ``{"name": ..., "params": {...}}``, or a function from texts to vectors: for
            questions whose instruction was never learned.
        epochs: Passes over the training examples.
        learning_rate: Of Adam.
        batch_size: Training examples per step.
        max_length: Most tokens of context, prompt and answer; the model's own limit where that is smaller. A context
            takes half of it at most.
        prompt: ``chat`` or ``plain``; see `inscl.learners.context_tuning.encoder`.
        precision: ``auto`` (bf16 where the machine has it), ``bf16`` or ``fp32``.
        seed: With the name of a task it decides its demonstrations and the order of training.
        generation_batch_size: Prompts answered at a time.
        progress: Who is told, among other things how many demonstrations had to be left out.

    Attributes:
        stage: How often it has learned.
        log: A row for each step of the last stage.
        progress_dir: A folder that outlives this process: an interrupted `answer` goes on from what it finds there.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
        UnknownComponentError: There is no such embedder.
    """

    traits = LearnerTraits(
        trains=False,
        saves=True,
        forgets=True,
        resumes=True,
        logs=True,
        log_likelihoods=True,
        chooses=True,
        counts_tokens=True,
        measures_room=True,
        learns_alone=True,
    )

    def __init__(
        self,
        model: str = model_names.DEFAULT_MODEL,
        *,
        k: int = 8,
        replayed: int = 0,
        epsilon_input: float = 0.2,
        epsilon_format: float = 0.1,
        decay: float = 0.95,
        find: str = "instruction",
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
        radii = {"epsilon_input": epsilon_input, "epsilon_format": epsilon_format}
        check(
            {"model.prompt": (prompt, FORMS), "model.precision": (precision, PRECISIONS), f"{_OWN}find": (find, FIND)},
            {f"{_OWN}k": (k, 1), f"{_OWN}replayed": (replayed, 0), "training.max_length": (max_length, 1)},
            {f"{_OWN}{name}": (value, None) for name, value in radii.items()} | {f"{_OWN}decay": (decay, 1)},
            "cpt",
        )
        self.model = LanguageModel(model, precision)
        self.progress: Progress = progress or NullProgress()
        self.progress_dir: Path | None = None
        self.stage, self.log = 0, list[dict[str, Any]]()
        self._k, self._replayed, self._find, self._seed = k, replayed, find, seed
        self._form, self._max_length, self._batch_size = prompt, max_length, generation_batch_size
        descent = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
        self._tuning = Tuning(self.model, decay=decay, **descent, **radii)  # type: ignore[arg-type]
        self._embed = embedder_of(embedder, model)
        self._contexts = Contexts()

    @property
    def contexts(self) -> dict[str, Context]:
        """By task, in the order learned: what stands before its questions."""
        return self._contexts.by_task

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Choose the demonstrations of `task` and tune them; the contexts of other tasks stay as they are.

        What the plan replays is learned with the rows of `task`, in the context of `task`.

        Raises:
            DataError: There is nothing to learn, an answer is longer than `max_length`, or an example has images.
            ModelError: The model can't be loaded, or the loss is no longer finite.
        """
        started = time.perf_counter()
        examples = [*task.train, *plan.examples]
        if not examples:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        refuse_images([Question.of(example) for example in examples])
        chance = np.random.default_rng(list(hashlib.sha256(f"{self._seed}/{task.name}".encode()).digest()))
        self.model.hold()
        drawn = draw(task, plan, self._k, self._replayed, self._most(examples), self._encoder().demonstration, chance)
        if drawn.left_out:
            self.progress.note(
                f"task {task.name}: {len(drawn.shown)} of the {len(drawn.shown) + drawn.left_out} demonstrations that "
                f"are wanted fit the context, which has {self._most(examples)} of {self._length} tokens"
            )
        context = self._context(task, drawn)
        tuned, truncated = self._tuned(context, drawn, chance)
        self._contexts.learned(tuned.context)
        self.log = tuned.took.log
        self.stage += 1
        replayed = self._replayed_tokens(task, plan, drawn, tuned.took)
        return tuned.took.report(task, plan, replayed, truncated, time.perf_counter() - started)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Greedy answers, in order, without surrounding white space, each behind the context of its task."""

        def ask(asking: ContextAsking, chosen: Sequence[int], key: str) -> list[Answer]:
            own = [questions[place] for place in chosen]
            kept = None if self.progress_dir is None else self.progress_dir / key
            return asking.answer(own, max_new_tokens, kept)

        return self._behind.asked(questions, ask)

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is behind the context of its task, end of sequence included.

        Raises:
            DataError: An answer is longer than what the context leaves of `max_length`, or a question has images.
        """
        pairs = list(zip(questions, answers, strict=True))

        def ask(asking: ContextAsking, chosen: Sequence[int], _: str) -> list[LogLikelihood]:
            return asking.log_likelihoods([pairs[place][0] for place in chosen], [pairs[place][1] for place in chosen])

        return self._behind.asked(questions, ask)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question behind its context; see `Asking.choose`.

        Raises:
            DataError: A question has no options or has images, or an option is longer than the context leaves room for.
        """
        return self._behind.asked(
            questions, lambda asking, chosen, _: asking.choose([questions[place] for place in chosen], normalise)
        )

    def room_for(self, question: Question) -> int:
        """Tokens that the longest context of a task, and a question that is read whole, leave for its answer."""
        taken = max((len(context.tokens) for context in self.contexts.values()), default=0)
        return self._length - taken - self._encoder().size(question.conversation)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence, without a context: for a budget in tokens."""
        return self._encoder().count_tokens(example)

    def save(self, folder: Path) -> None:
        """Write a file of safetensors for each task into `folder`."""
        self._contexts.write(folder)
        write_saved_stage(folder, self.stage, self.model.name, self._identity)

    def load(self, folder: Path) -> None:
        """Go on from the state in `folder`.

        Raises:
            ModelError: It is of another learner, model or form of prompt, or it is damaged.
        """
        stage = read_saved_stage(folder, self._identity)
        self._contexts, self.stage = Contexts.read(folder), stage

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take erased examples out of the state in `folder`; see `Context.without`."""
        Contexts.forget(folder, erased)

    @property
    def _identity(self) -> dict[str, str]:
        """What a saved state must share with this learner: it moves the embeddings of one model."""
        return {"learner": "cpt", "prompt": self._form, "fingerprint": model_names.fingerprint(self.model.path)}

    @cached_property
    def _length(self) -> int:
        return self.model.within_context(self._max_length)

    @property
    def _behind(self) -> Behind:
        asking = partial(ContextAsking, self.model, self._form, self._length, self._batch_size, self.progress)
        return Behind(self.model, self.contexts, asking, self._find, self._embed)

    def _encoder(self, context: Sequence[int] = ()) -> ContextEncoder:
        return ContextEncoder(self.model.tokenizer, self._form, self._length, context)

    def _most(self, examples: Sequence[Example]) -> int:
        """Tokens that a context may take, so that every example's answer fits behind it.

        Raises:
            DataError: An answer fits by no means.
        """
        encoder = self._encoder()
        longest = 0
        for example in examples:
            length = len(encoder.answer(example.output))
            encoder.room(Question.of(example), length, example.output, example.source or example.task)
            longest = max(longest, length)
        return max(0, min(self._length // 2, self._length - longest - encoder.size((Turn("user", ""),)) - 1))

    def _context(self, task: Task, drawn: Drawn) -> Context:
        """The context of these demonstrations, with nothing moved."""
        tokens = [token for block in drawn.blocks for token, _ in block]
        types = [role + 4 * number if role else 0 for number, block in enumerate(drawn.blocks) for _, role in block]
        width = int(self.model.model.get_input_embeddings().weight.shape[1])
        return Context(
            task.name,
            tuple(dict.fromkeys(example.instruction for example in task.train)),
            _members(drawn.shown),
            tuple(dict.fromkeys(_members([*drawn.shown, *((name, one) for name, one, _ in drawn.rows)]))),
            np.array(tokens, dtype=np.int64),
            np.array(types, dtype=np.int64),
            np.zeros((len(tokens), width), dtype=np.float32),
        )

    def _tuned(self, context: Context, drawn: Drawn, chance: np.random.Generator) -> tuple[Tuned, int]:
        """The tuned context, and how many prompts were shortened for it."""
        if not len(context.tokens):
            self.progress.note(f"task {context.task}: no demonstration fits, so its questions are asked without any")
            return Tuned(context, Descent(len(drawn.rows), self._tuning.learning_rate)), 0
        encoder = self._encoder(soft_ids(self.model, context))
        rows = [encoder.encode(example) for _, example, _ in drawn.rows]
        self.progress.phase("train", self._tuning.passes.steps(len(rows)))
        tuning = replace(self._tuning, advance=self.progress.advance)
        tuned = tuning.tune(context, len(encoder.beginning), rows, [weight for *_, weight in drawn.rows], chance)
        return tuned, sum(row.truncated for row in rows)

    def _replayed_tokens(self, task: Task, plan: ReplayPlan, drawn: Drawn, took: Descent) -> int:
        """Tokens of what is replayed and isn't an example of the task itself, as often as it was read."""
        picked = {example.id for example in plan.examples} - {example.id for example in task.train}
        encoder, rows = self._encoder(), zip(drawn.rows, took.seen, strict=True)
        return sum(count * encoder.count_tokens(example) for (_, example, _), count in rows if example.id in picked)


def _members(examples: Sequence[tuple[str, Example]]) -> tuple[Member, ...]:
    return tuple((task, example.id) for task, example in examples)
