"""In-context learning: no weight changes, a task is learned by keeping examples of it for the prompt."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from inscl.config import kinds
from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder, LearnReport, NullProgress, Progress, Scorer
from inscl.contract.traits import LearnerTraits
from inscl.errors import ConfigError, DataError, Problem
from inscl.learners.asking import Asking
from inscl.learners.demonstrations.choosing import SELECTIONS, Choosing
from inscl.learners.demonstrations.grader import Grader
from inscl.learners.demonstrations.kept import Kept
from inscl.learners.demonstrations.layout import ANSWERS, ORDERS, Layout
from inscl.learners.demonstrations.prompting import Prompting
from inscl.learners.demonstrations.settings import check, embedder_of
from inscl.learners.demonstrations.value import Value
from inscl.llm.settings import LLMSettings
from inscl.models import names as model_names
from inscl.models.language_model import LanguageModel
from inscl.models.precision import PRECISIONS
from inscl.models.prompts import FORMS
from inscl.models.saved_record import read_saved_stage, write_saved_stage

__all__ = ["ICL"]

_LIKELIHOOD, _JUDGE = "likelihood", "judge"


class ICL:
    r"""In-context learning: examples of a task stand in the prompt before each question, and no weight changes.

    .. math:: \hat{y} = \arg\max_y p(y \mid d_1, \ldots, d_k, x)

    with demonstrations :math:`d_i = (x_i, y_i)` of the question's task (Zhao et al., Is In-Context Learning Sufficient
    for Instruction Following in LLMs?, arXiv 2405.19874). The prompt's form, URIAL's three examples, the selections
    ``random``, ``top_n`` and ``greedy`` and the matching of questions and answers follow the readme and code of the
    paper. ``fixed``, ``nearest``, ``diverse``, values by likelihood, and all that concerns a stream of tasks are
    reconstructions; docs/learners.md says which is which.

    The demonstrations of the new task come from its train split. Those of an earlier task come from what the plan
    replays of it: demonstrations that are replayed stay, the others are replaced. A task of which nothing is replayed
    keeps what it has, so with the strategy ``none`` no demonstration is ever replaced.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        k: Demonstrations in a prompt; ``fit`` for as many as fit `max_length`.
        selection: ``fixed``, ``random``, ``nearest``, ``diverse``, ``top_n`` or ``greedy``; each is a file of
            `inscl.learners.demonstrations`.
        order: ``best_first``, ``best_last`` (next to the question) or ``shuffled``.
        answers: ``right``; ``shuffled`` gives each demonstration the next one's answer; ``none`` shows questions alone.
        urial: Whether rules and three fixed examples stand in the prompt too.
        embedder: Name of an embedder, ``{"name": ..., "params": {...}}``, or a function from texts to vectors: for
            ``nearest`` and ``diverse``, and for questions whose instruction was never learned.
        score: What ``top_n`` and ``greedy`` compare candidates by: ``likelihood`` of held-out answers (nats a token),
            the name of a scorer of generated ones, as ``rouge_l``, or ``judge``, as in the paper.
        judge: For ``score="judge"``: a language model that grades generated answers, by its name or as a mapping with
            the fields of `inscl.llm.settings.LLMSettings`.
        held_out: Most examples of a task that are held out for that, at most half of them.
        pool: Most candidates that are compared (the paper: 100).
        max_length: Most tokens of a prompt with its answer; the model's own limit where that is smaller.
        prompt: ``chat`` or ``plain``; see `inscl.learners.demonstrations.layout`.
        precision: ``auto`` (bf16 where the machine has it), ``bf16`` or ``fp32``.
        seed: Of everything random; a task's demonstrations depend on it and on the task, not on other tasks.
        generation_batch_size: Prompts answered at a time.
        progress: Who is told, among other things how many demonstrations had to be left out.

    Attributes:
        stage: How often it has learned.
        progress_dir: A folder that outlives this process: an interrupted `answer` goes on from what it finds there.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
        UnknownComponentError: There is no such embedder or scorer.
    """

    traits = LearnerTraits(
        trains=False,
        saves=True,
        forgets=True,
        resumes=True,
        log_likelihoods=True,
        chooses=True,
        counts_tokens=True,
        measures_room=True,
        learns_alone=True,
        added=("judge",),
    )
    _name = "icl"

    def __init__(
        self,
        model: str = model_names.DEFAULT_MODEL,
        *,
        k: int | str = 4,
        selection: str = "random",
        order: str = "best_first",
        answers: str = "right",
        urial: bool = False,
        embedder: str | Mapping[str, Any] | Embedder = "model",
        score: str = _LIKELIHOOD,
        judge: str | Mapping[str, Any] | None = None,
        held_out: int = 16,
        pool: int = 100,
        max_length: int = 1024,
        prompt: str = "chat",
        precision: str = "auto",
        seed: int = 0,
        generation_batch_size: int = 32,
        progress: Progress | None = None,
    ) -> None:
        choices = {"selection": (selection, tuple(SELECTIONS)), "order": (order, ORDERS), "answers": (answers, ANSWERS)}
        own = {"prompt": (prompt, FORMS), "precision": (precision, PRECISIONS)}
        check({**choices, **own}, k, {"held_out": held_out, "pool": pool, "max_length": max_length}, urial)
        self.model = LanguageModel(model, precision)
        self.k, self.selection = k, selection
        self.progress: Progress = progress or NullProgress()
        self.progress_dir: Path | None = None
        self.stage = 0
        self._form, self._max_length, self._batch_size = prompt, max_length, generation_batch_size
        self._shape: dict[str, Any] = {"order": order, "answers": answers, "urial": urial, "seed": seed}
        self._limits = {"held_out": held_out, "pool": pool, "seed": seed}
        self._grader = _grader(score, judge, self.progress)
        built_in = score in (_LIKELIHOOD, _JUDGE)
        self._scorer = None if built_in else cast(Scorer, kinds.load("scorers", str(score)))
        self._embed = embedder_of(embedder, model, "training.params.embedder")
        self._kept = Kept()

    @cached_property
    def context(self) -> int:
        """Most tokens of a prompt with its answer: `max_length`, or the model's own limit where that is smaller."""
        return self.model.within_context(self._max_length)

    @property
    def demonstrations(self) -> dict[str, tuple[Example, ...]]:
        """By task, in the order learned: examples to show, best first; with ``nearest`` all candidates."""
        return {name: task.demonstrations for name, task in self._kept.tasks.items()}

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Choose demonstrations: of `task` from its train split, of earlier tasks from what `plan` picked.

        Raises:
            DataError: There is nothing to learn, or an example has images.
            ConfigError: The context holds no question beside the template; see `Asking.room_beside`.
            ModelError: The model can't be loaded.
        """
        started = time.perf_counter()
        new = list(task.train)
        if not new and not plan.picks:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        _refuse_images([*new, *plan.examples])
        again: dict[str, list[Example]] = {}
        for pick in plan.picks:
            again.setdefault(pick.task, []).append(pick.example)
        new += again.pop(task.name, [])
        for name, examples in again.items():
            self._kept.tasks[name] = self._choosing.choose(name, examples, self._kept.tasks.get(name))
        if new:
            self._kept.tasks.pop(task.name, None)
            self._kept.tasks[task.name] = self._choosing.choose(task.name, new, None)
        self._tell_unshuffled()
        self.stage += 1
        seconds = time.perf_counter() - started
        return LearnReport(
            steps=0,
            examples=len(task.train),
            replayed=len(plan.picks),
            tokens=0,
            answer_tokens=0,
            replay_tokens=0,
            seconds=seconds,
            loss=0.0,
        )

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Greedy answers, in order, without surrounding white space, each after demonstrations of its task.

        They end at the end of sequence or where the model begins another block; see `Layout`.

        Raises:
            ConfigError: The context holds no question beside the template; see `Asking.room_beside`.
        """
        if not questions:
            return []
        alone = [self._layout.shown((), question, 0)[0] for question in questions]
        longest = self._asking.longest(alone, max_new_tokens)
        rooms = [self.context - longest] * len(questions)
        done = 0

        def ask(shown: Sequence[Question], _: Sequence[int]) -> list[Answer]:
            nonlocal done
            found = self._asking.answer(shown, longest, self.progress_dir, before=done, over=self._layout.over)
            done += len(shown)
            return [self._layout.ended(answer, longest) for answer in found]

        return self._prompting.asked(questions, rooms, ask)

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is after demonstrations and its question, end of sequence included.

        Raises:
            DataError: An answer is longer than the context, or a question has images.
        """
        encoder = self._asking.encoder
        pairs = zip(questions, answers, strict=True)
        rooms = [encoder.room(question, len(encoder.answer(answer)), answer) for question, answer in pairs]

        def ask(shown: Sequence[Question], places: Sequence[int]) -> list[LogLikelihood]:
            return self._asking.log_likelihoods(shown, [answers[place] for place in places])

        return self._prompting.asked(questions, rooms, ask)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question after demonstrations; see `Asking.choose`.

        Raises:
            DataError: A question has no options or has images, or an option is longer than the context.
        """
        rooms = [self._asking.room_beside_options(question) for question in questions]
        return self._prompting.asked(questions, rooms, lambda shown, _: self._asking.choose(shown, normalise))

    def room_for(self, question: Question) -> int:
        """Tokens that the context leaves for an answer to a question without demonstrations, which may all give way."""
        return self._asking.room_for(self._layout.shown((), question, 0)[0])

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence, before any shortening: for a budget in tokens."""
        return self._asking.encoder.count_tokens(example)

    def save(self, folder: Path) -> None:
        """Write the demonstrations and instructions into `folder`, as JSON lines."""
        self._kept.write(folder)
        write_saved_stage(folder, self.stage, self.model.name, self._identity)

    def load(self, folder: Path) -> None:
        """Go on from the state in `folder`.

        Raises:
            ModelError: It is of another learner, or demonstrations were chosen for another model.
        """
        stage = read_saved_stage(folder, self._identity)
        self._kept, self.stage = Kept.read(folder), stage

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take erased examples out of the state in `folder`."""
        Kept.forget(folder, erased)

    @property
    def _identity(self) -> dict[str, str]:
        """What a saved state must share with this learner: demonstrations are chosen for a model."""
        return {"learner": self._name, "fingerprint": model_names.fingerprint(self.model.path)}

    def _tell_unshuffled(self) -> None:
        """Say which tasks show a right answer although wrong ones are wanted: a single one can't be shuffled."""
        single = [name for name, kept in self.demonstrations.items() if len(kept) == 1 or (kept and self.k == 1)]
        if self._shape["answers"] == "shuffled" and single:
            self.progress.note(
                f"answers can't be shuffled where one demonstration is shown, so it has its own: {', '.join(single)}; "
                "raise training.params.k, or use answers: none"
            )

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.model, self._form, self.context, self._batch_size, self.progress)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self._asking.encoder, **self._shape)

    @cached_property
    def _choosing(self) -> Choosing:
        frame = self._layout.shown([], Question("?"), 0)[0]
        self._asking.room_beside([frame], 1)  # so that a context which holds no question is refused here
        return Choosing(
            selection=self.selection,
            k=self.k,
            context=max(0, self.context - self._asking.encoder.size(frame.conversation)),
            size=self._layout.size,
            embed=self._embed,
            value=Value(self._asking, self._layout, self._scorer, self._grader),
            progress=self.progress,
            **self._limits,
        )

    @property
    def _prompting(self) -> Prompting:
        nearest = self.selection == "nearest"
        return Prompting(self._kept, self._layout, self._embed, nearest, self.k, self.context, self.progress)


def _refuse_images(examples: Sequence[Example]) -> None:
    """Refuse what this learner can't show.

    Raises:
        DataError: An example has images.
    """
    if found := next((example for example in examples if example.images), None):
        raise DataError(
            f"the example {found.id} ({found.source or found.task}) has images, and this learner reads text alone: "
            "leave such examples out, or choose a learner that takes images"
        )


def _grader(score: str, judge: Any, progress: Progress) -> Grader | None:
    """Who grades answers; None unless that is what demonstrations are compared by.

    Raises:
        ConfigError: The judge can't be, is missing, or would never be asked.
    """
    if judge is None and score == _JUDGE:
        said = 'is missing: score "judge" needs the name of a language model, or {model: ..., base_url: ...}'
        raise ConfigError([Problem("training.params.judge", said)])
    if judge is None:
        return None
    settings = LLMSettings.read(judge, "training.params.judge")
    if score != _JUDGE:
        raise ConfigError([Problem("training.params.judge", "is asked only with `score: judge`: set that too")])
    return Grader(settings, progress)
