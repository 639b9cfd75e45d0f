"""Fine-tuning a causal language model, whole or by LoRA: thin over transformers' Trainer and PEFT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from inscl.config import kinds
from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.objective import Objective, TaughtExample
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Adapter, LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits, ObjectiveTraits, traits_of
from inscl.errors import ConfigError, DataError, Problem, WorkspaceError, nearest
from inscl.learners.asking import Asking
from inscl.learners.averaging import Averaging
from inscl.learners.hf_args import hf_problems
from inscl.learners.kept_targets import FILE, Kept, KeptTargets
from inscl.learners.out_of_memory import memory_enough
from inscl.learners.placement import PLACEMENTS
from inscl.learners.sharding import sharding_problems
from inscl.learners.stepping_back import SteppingBack
from inscl.learners.training import BATCHINGS, Training
from inscl.models.adapters.choose import make_adapter
from inscl.models.lower_states import LowerStates
from inscl.models.names import DEFAULT_MODEL, quiet
from inscl.models.precision import PRECISIONS
from inscl.models.prompts import FORMS, Encoded, PromptEncoder
from inscl.models.trainable_model import TrainableModel

__all__ = ["FineTune"]

Part = TypeVar("Part")

LORA = MappingProxyType({"kind": "lora"})


class FineTune:
    """A model that learns by gradient descent on the answer tokens, with only their positions projected.

    The same seed on the same machine gives the same weights, bit for bit; so does going on from `save` and `load`.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        adapter: ``kind`` and its parameters, as in a configuration; None or ``{"kind": "none"}`` trains every weight.
        objective: Registered name of what is minimised, or ``{"name": ..., "params": {...}}``.
        epochs: Passes over new and replayed examples, mixed.
        learning_rate: Its maximum; it warms up over 3 % of the steps and falls by a cosine (InsCL, released code). The
            only step of a stage has it.
        batch_size: Examples an optimiser step and device.
        max_length: Most tokens of an example; a longer one has its prompt shortened, never its answer.
        prompt: ``chat`` or ``plain``; see `inscl.models.prompts`.
        precision: ``auto`` (bf16 where the machine has it), ``bf16`` or ``fp32``.
        batching: ``pack`` joins a random batch into one row without padding; ``length`` pads batches of similar
            length; ``random`` pads random batches.
        hf_args: Anything else that transformers' `TrainingArguments` has; wins over the defaults here.
        seed: Of everything random; stage and seed together decide order, dropout and new adapters.
        generation_batch_size: Prompts answered at a time.
        progress: Who is told.
        log_dir: Where transformers puts what `hf_args` asks for (tracker logs, checkpoints); nowhere if None.
        callbacks: Transformers' `TrainerCallback`s, for every stage.
        save_every: Seconds of training between two checkpoints in `progress_dir`; 0 makes one a step, None none. With
            ``save_strategy`` in `hf_args` there are only those that transformers then makes.
        average: ``ema``, ``bema``, or ``{kind: ema, ...}`` with parameters of `inscl.learners.averaging.Averaging`: a
            stage ends on an average of its weights. None ends it on its last step.
        step_back: How far a stage goes of the way from where it began, or ``{epsilon: [...], held_back: ...}`` to
            choose that by train rows; see `inscl.learners.stepping_back`. None goes the whole way.
        placement: Where replayed examples come up: ``mixed``, ``paired``, ``late`` or ``turns``; see
            `inscl.learners.placement`. All but ``mixed`` replace the grouping by ``batching: length``.
        restarts: How often a stage whose loss spikes (`inscl.learners.spikes`) goes back with half the rate.
        lower_states: MiB of memory for what frozen lower layers make of each text, where an adapter changes upper
            layers alone; see `inscl.models.lower_states`. 0 runs all layers each time.

    Attributes:
        log: Rows of the last stage's ``train_log.jsonl``.
        stage: How often it has learned.
        progress_dir: A folder that outlives this process: an interrupted `learn` or `answer` that is called again
            goes on from what it finds there, to the same result. None keeps nothing. The caller empties it.
        measure_visits: Whether `learn` reports the loss of each example as training comes to it.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
    """

    traits = LearnerTraits(
        saves=True,
        forgets=True,
        forgets_in=(FILE,),
        resumes=True,
        logs=True,
        log_likelihoods=True,
        chooses=True,
        counts_tokens=True,
        measures_room=True,
        measures_visits=True,
        keeps_prompts=True,
        images="model",
        added=("average", "step_back", "placement", "restarts", "lower_states"),
    )

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        adapter: Mapping[str, Any] | None = LORA,
        objective: str | Mapping[str, Any] = "answer",
        epochs: float = 2,
        learning_rate: float = 1e-3,
        batch_size: int = 8,
        max_length: int = 1024,
        prompt: str = "chat",
        precision: str = "auto",
        batching: str = "length",
        hf_args: Mapping[str, Any] | None = None,
        seed: int = 0,
        generation_batch_size: int = 32,
        progress: Progress | None = None,
        log_dir: str | Path | None = None,
        callbacks: Sequence[Any] = (),
        save_every: float | None = 30,
        average: str | Mapping[str, Any] | None = None,
        step_back: float | Mapping[str, Any] | None = None,
        placement: str = "mixed",
        restarts: int = 0,
        lower_states: int = 0,
    ) -> None:
        hf_args = dict(hf_args or {})
        choices = {"prompt": (prompt, FORMS), "precision": (precision, PRECISIONS), "batching": (batching, BATCHINGS)}
        sizes = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size, "max_length": max_length}
        choices["training.params.placement"] = (placement, PLACEMENTS)
        counts = {"restarts": restarts, "lower_states": lower_states}
        _check(choices, {**sizes, "generation_batch_size": generation_batch_size}, counts, hf_args)
        self.progress: Progress = progress or NullProgress()
        self.progress_dir: Path | None = None
        self.measure_visits = False
        self.log: list[dict[str, Any]] = []
        self.stage = 0
        chosen: dict[str, Any] = {"name": objective} if isinstance(objective, str) else dict(objective)
        minimised = chosen["name"], dict(chosen.get("params") or {})
        lower = LowerStates(lower_states << 20, self.progress.note) if lower_states else None
        averaging = _averaging(average)
        self._step_back = _stepping_back(step_back)
        minimises = kinds.create("objectives", *minimised)
        whole = {"average": average, "step_back": step_back, **counts}
        changes = make_adapter(adapter)
        _check_shards(hf_args, changes, minimises, whole)
        self.traits = replace(self.traits, learns_in_parts=not (changes.starts_fresh or changes.merges))
        self._held: list[TaughtExample] = []
        self._facts: dict[str, Any] = {}
        self._targets = KeptTargets()
        device = "cpu" if hf_args.get("use_cpu") else None
        self._weights = TrainableModel(model, changes, precision, device, lower)
        self._asking = Asking(self._weights, prompt, max_length, generation_batch_size, self.progress, sees=True)
        self._training = Training(
            model=self._weights,
            encode=lambda example: self.encoder.encode(example),
            objective=minimises,
            minimised=minimised,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            batching=batching,
            hf_args=hf_args,
            seed=seed,
            progress=self.progress,
            log_dir=None if log_dir is None else Path(log_dir),
            callbacks=list(callbacks),
            save_every=None if hf_args.get("save_strategy", "no") != "no" else save_every,
            averaging=averaging,
            placement=placement,
            finish=self._finish if self._step_back else None,
            restarts=restarts,
        )

    @property
    def encoder(self) -> PromptEncoder:
        """How prompts and answers become tokens."""
        return self._asking.encoder

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Train on the examples of `task` and those that `plan` picked, shuffled together.

        Raises:
            DataError: There is nothing to learn, or an answer is longer than `max_length`.
            ModelError: The model can't be loaded, or training diverged.
        """
        replay = plan.examples
        if not task.train and not replay:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        rows = list(task.train)
        new = [self.encoder.encode(example) for example in rows]
        old = [self.encoder.encode(example) for example in replay]
        taught = [TaughtExample(encoded, example=one) for encoded, one in zip(new, rows, strict=True)]
        self.log, self._facts = [], {}
        taught += self._replayed(plan, old)
        self._asking.tell_shortened([*new, *old], f"fit max_length {self._asking.max_length}")
        if self._step_back:
            taught, self._held = self._step_back.split(taught)
        old = [one.encoded for one in taught if one.replayed]
        new = [one.encoded for one in taught if not one.replayed]
        visits: dict[str, tuple[float, float]] = {}
        measured = visits if self.measure_visits else None
        trained = self._training.teach(self.stage + 1, taught, self.log, self.progress_dir, measured)
        self.stage += 1
        self._keep_targets(task, rows)
        return LearnReport(
            steps=trained.steps,
            examples=round(trained.epochs * len(new)),
            replayed=round(trained.epochs * len(old)),
            tokens=trained.tokens,
            answer_tokens=trained.loss.tokens,
            replay_tokens=round(trained.epochs * sum(len(example.tokens) for example in old)),
            seconds=trained.seconds,
            loss=trained.loss.total / trained.loss.tokens,
            truncated=sum(example.truncated for example in [*new, *old]),
            visits=visits,
            facts={**self._facts, **trained.facts},
        )

    def _replayed(self, plan: ReplayPlan, encoded: Sequence[Encoded]) -> list[TaughtExample]:
        """What is replayed, each with the soft targets that were kept of it, if the objective wants them."""
        wanted = self._soft_targets > 0
        found = []
        for one, pick in zip(encoded, plan.picks, strict=True):
            soft = self._targets.of(pick.task, pick.example.id, one) if wanted else None
            found.append(TaughtExample(one, pick.weight, True, pick.reason, pick.example, pick.task, soft))
        if wanted:
            without = sum(one.soft is None for one in found)
            self._facts["soft_targets"] = {"replayed": len(found), "without": without}
            if without:
                said = "no soft targets were kept of them when they were learned, so their answers alone teach them"
                self.progress.note(f"{without} of {len(found)} replayed examples: {said}")
        return found

    @property
    def _soft_targets(self) -> int:
        return traits_of(self._training.objective, ObjectiveTraits).soft_targets

    def _keep_targets(self, task: Task, rows: Sequence[Example]) -> None:
        """Keep what the model, which has just learned them, holds likely in the answers of a task's examples."""
        if not (count := self._soft_targets):
            return
        encoded = [self.encoder.encode(row) for row in rows]
        with memory_enough("reading soft targets", "evaluation.batch_size"):
            soft = self._weights.soft_targets(encoded, count, batch_size=self._asking.batch_size)
        each = zip(rows, encoded, soft, strict=True)
        self._targets = self._targets.adding({(task.name, row.id): Kept.of(one, own) for row, one, own in each})

    def _finish(self, network: Any, start: Mapping[str, Any]) -> None:
        """The step back at the end of a stage."""
        if self._step_back:
            self._facts |= self._step_back.step(network, start, self._held, self._losses)

    def _losses(self, taught: Sequence[TaughtExample]) -> list[float]:
        rows = [one.example for one in taught if one.example is not None]
        found = self.log_likelihoods([Question.of(row) for row in rows], [row.output for row in rows])
        return [one.loss for one in found]

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Greedy answers, in order, without surrounding white space; they end at the end of sequence."""
        return self._asking.answer(questions, max_new_tokens, self.progress_dir)

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is under the model as it is now; see `inscl.learners.asking.Asking`.

        Raises:
            DataError: An answer is longer than `max_length`, or a question has images that the model can't see.
        """
        return self._asking.log_likelihoods(questions, answers)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question; see `inscl.learners.asking.Asking`.

        Raises:
            DataError: A question has no options, or images that the model can't see, or an option is longer than
                `max_length`.
        """
        return self._asking.choose(questions, normalise)

    def keeping_prompts(self) -> AbstractContextManager[None]:
        """The block in which it is only asked: likelihoods and choices don't read again what was answered in it."""
        return self._weights.keeping_prompts()

    def room_for(self, question: Question) -> int:
        """Tokens that the context leaves for an answer to a question that is read whole."""
        return self._asking.room_for(question)

    def count_tokens(self, example: Example) -> int:
        """Tokens of an example as it is trained on, before any shortening: for a budget in tokens."""
        return self.encoder.count_tokens(example)

    def save(self, folder: Path) -> None:
        """Write the state into `folder`: an adapter as PEFT does, or the whole model; safetensors, nothing rounded.

        Raises:
            WorkspaceError: The folder can't be written, or the disk is full.
        """
        from safetensors import SafetensorError

        try:
            self._weights.save(Path(folder), self.stage)
            if len(self._targets):
                self._targets.write(Path(folder))
        except (OSError, SafetensorError) as error:
            raise WorkspaceError(
                f"can't write the weights in {folder}: {error}. Nothing was lost: free space or permissions there, "
                "then give the same command again."
            ) from error

    def load(self, folder: Path) -> None:
        """Go on from the state in `folder`.

        Raises:
            ModelError: It isn't the state of this model and adapter.
        """
        with quiet():
            self.stage = self._weights.load(Path(folder))
        self._targets = KeptTargets.read(Path(folder))

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take the soft targets of erased examples out of the state in `folder`; its weights stay."""
        KeptTargets.forget(folder, erased)


def _check(
    choices: Mapping[str, Any], sizes: Mapping[str, Any], counts: Mapping[str, int], hf_args: Mapping[str, Any]
) -> None:
    """Refuse settings that can't be, all at once: choices, sizes above 0, and counts from 0 on."""
    problems = [
        Problem(
            key if "." in key else f"{'training' if key == 'batching' else 'model'}.{key}",
            f"no {key.split('.')[-1]} {value!r}{nearest(str(value), known)}",
        )
        for key, (value, known) in choices.items()
        if value not in known
    ]
    for key, value in sizes.items():
        if not 0 < value < float("inf"):
            place = "evaluation.batch_size" if key == "generation_batch_size" else f"training.{key}"
            problems.append(Problem(place, f"must be more than zero, got {value!r}"))
    for key, value in counts.items():
        if value < 0:
            problems.append(Problem(f"training.params.{key}", f"must be 0 or more, got {value!r}"))
    problems += hf_problems(hf_args)
    if problems:
        raise ConfigError(problems)


def _check_shards(hf_args: Mapping[str, Any], adapter: Adapter, objective: Objective, whole: Mapping[str, Any]) -> None:
    """Refuse what doesn't go together with weights in shards, where they are wanted.

    Args:
        hf_args: As in a configuration.
        adapter: What is trained.
        objective: What is minimised.
        whole: Parameters of the learner that read or move whole weights while a stage trains.
    """
    unsuited = [(f"training.params.{name}", "leave it out") for name, value in whole.items() if value]
    if adapter.to_json().get("kind") != "none":
        unsuited.append(("model.adapter", "set it to {kind: none}, or launch without FSDP, since adapters are small"))
    if traits_of(objective, ObjectiveTraits).reads:
        unsuited.append(("training.objective", "choose one that reads no earlier weights, such as answer"))
    if problems := sharding_problems(hf_args, unsuited):
        raise ConfigError(problems)


def _averaging(given: str | Mapping[str, Any] | None) -> Averaging | None:
    return None if given is None else _made(Averaging, "average", {"kind": given} if isinstance(given, str) else given)


def _stepping_back(given: float | Mapping[str, Any] | None) -> SteppingBack | None:
    if given is None:
        return None
    return _made(SteppingBack, "step_back", given if isinstance(given, Mapping) else {"epsilon": given})


def _made(kind: Callable[..., Part], name: str, params: Mapping[str, Any]) -> Part:
    """A part of the learner from a mapping of its parameters."""
    if problems := kinds.parameter_problems(kind, params):
        raise ConfigError([Problem(f"training.params.{name}.{one.key}", one.message) for one in problems])
    return kind(**params)
