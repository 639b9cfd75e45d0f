"""Fine-tuning a causal language model, whole or by LoRA: thin over transformers' Trainer and PEFT."""

from __future__ import annotations

import gc
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

from inscl.config import kinds
from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.objective import Objective, TaughtExample
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits
from inscl.errors import ConfigError, DataError, ModelError, Problem, WorkspaceError, nearest
from inscl.learners.checkpoints import Checkpoints, state_digest
from inscl.learners.training_log import training_log
from inscl.models.adapters.choose import make_adapter
from inscl.models.batches import pack, packs_exactly, pad, understood
from inscl.models.language_model import TrainableModel
from inscl.models.likelihoods import over_options
from inscl.models.names import DEFAULT_MODEL, quiet
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.packed_attention import packed_attention
from inscl.models.precision import PRECISIONS
from inscl.models.prompts import FORMS, Encoded, PromptEncoder, Rendered
from inscl.storage.files.integrity import content_digest
from inscl.storage.run.progress import Answers

__all__ = ["BATCHINGS", "FineTune"]

BATCHINGS = ("pack", "length", "random")
LORA = MappingProxyType({"kind": "lora"})
# What TrainingArguments would say a second time, with what to use instead.
_RESERVED = {
    "seed": "use seed",
    "data_seed": "use seed",
    "bf16": "use model.precision",
    "fp16": "use model.precision",
    "remove_unused_columns": "there is nothing to remove",
    "include_num_input_tokens_seen": "tokens are always counted",
}


class FineTune:
    """A model that learns by gradient descent on the answer tokens, with only their positions projected.

    The same seed on the same machine gives the same weights, bit for bit; so does going on from `save` and `load`.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        adapter: ``kind`` and its parameters, as in a configuration; None or ``{"kind": "none"}`` trains every weight.
        objective: Registered name of what is minimised, or ``{"name": ..., "params": {...}}``.
        epochs: Passes over new and replayed examples, mixed.
        learning_rate: Its maximum; it warms up over 3 % of the steps and falls by a cosine (InsCL, released code).
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

    Attributes:
        log: Rows of the last stage's ``train_log.jsonl``.
        stage: How often it has learned.
        progress_dir: A folder that outlives this process: an interrupted `learn` or `answer` that is called again
            goes on from what it finds there, to the same result. None keeps nothing. The caller empties it.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
    """

    traits = LearnerTraits(saves=True, resumes=True, logs=True, log_likelihoods=True, chooses=True, counts_tokens=True)

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
    ) -> None:
        self.hf_args = dict(hf_args or {})
        choices = {"prompt": (prompt, FORMS), "precision": (precision, PRECISIONS), "batching": (batching, BATCHINGS)}
        sizes = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size, "max_length": max_length}
        _check(choices, {**sizes, "generation_batch_size": generation_batch_size}, self.hf_args)
        self.epochs, self.learning_rate, self.batch_size = epochs, learning_rate, batch_size
        self.max_length, self.prompt, self.batching = max_length, prompt, batching
        self.seed, self.generation_batch_size = seed, generation_batch_size
        self.progress: Progress = progress or NullProgress()
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.callbacks = list(callbacks)
        self.save_every = None if self.hf_args.get("save_strategy", "no") != "no" else save_every
        self.progress_dir: Path | None = None
        self.log: list[dict[str, Any]] = []
        self.stage = 0
        device = "cpu" if self.hf_args.get("use_cpu") else None
        chosen: dict[str, Any] = {"name": objective} if isinstance(objective, str) else dict(objective)
        self._minimised = chosen["name"], dict(chosen.get("params") or {})
        self.objective: Objective = kinds.create("objectives", *self._minimised)
        self._weights = TrainableModel(model, make_adapter(adapter), precision, device)
        self._encoder: PromptEncoder | None = None

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Train on the examples of `task` and those that `plan` picked, shuffled together.

        Raises:
            DataError: There is nothing to learn, or an answer is longer than `max_length`.
            ModelError: The model can't be loaded, or training diverged.
        """
        replay = plan.examples
        if not task.train and not replay:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        new = [self.encoder.encode(example) for example in task.train]
        old = [self.encoder.encode(example) for example in replay]
        taught = [TaughtExample(encoded) for encoded in new]
        for encoded, pick in zip(old, plan.picks, strict=True):
            taught.append(TaughtExample(encoded, pick.weight, True, pick.reason))
        self._tell([*new, *old], f"fit max_length {self.max_length}")
        with quiet(), _memory_enough("training", "training.batch_size or training.max_length"):
            state, loss, seconds = self._train(taught)
        self.stage += 1
        return LearnReport(
            steps=state.global_step,
            examples=round(state.epoch * len(new)),
            replayed=round(state.epoch * len(old)),
            tokens=int(state.num_input_tokens_seen),
            answer_tokens=loss.tokens,
            replay_tokens=round(state.epoch * sum(len(example.tokens) for example in old)),
            seconds=seconds,
            loss=loss.total / loss.tokens,
            truncated=sum(example.truncated for example in [*new, *old]),
        )

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Greedy answers, in order, without surrounding white space; they end at the end of sequence."""
        if not questions:
            return []
        _refuse_images(questions)
        room = max(self.max_length - max_new_tokens, self.max_length // 2)
        encoded = [self.encoder.prompt(question.conversation, room) for question in questions]
        self._tell(encoded, f"{room} tokens before answering")
        rows = [question.tokens for question in encoded]
        answers = self._answers([rows, max_new_tokens, self.generation_batch_size, self._weights.bf16])
        with _memory_enough("answering", "evaluation.batch_size"):
            found = self._weights.generate(
                rows,
                max_new_tokens=max_new_tokens,
                batch_size=self.generation_batch_size,
                advance=self.progress.advance,
                known=answers.read(),
                keep=answers.keep,
            )
        texts = self.encoder.decode(found)
        read = [len(row) for row in rows]
        return [Answer(text, None, count, len(said)) for text, count, said in zip(texts, read, found, strict=True)]

    def _answers(self, question: list[Any]) -> Answers:
        """What an interrupted `answer` of the same question to the same state has left."""
        if self.progress_dir is None:
            return Answers(None, None)
        return Answers(self.progress_dir / "answers", [*question, state_digest(self._weights.model)])

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is under the model as it is now, after its question in the model's own template.

        Raises:
            DataError: An answer is longer than `max_length`, or a question has images.
        """
        _refuse_images(questions)
        pairs = zip(questions, answers, strict=True)
        encoded = [self.encoder.answered(question, answer) for question, answer in pairs]
        self._tell(encoded, f"fit max_length {self.max_length}")
        with _memory_enough("scoring answers", "evaluation.batch_size"):
            return self._weights.log_likelihoods(encoded, batch_size=self.generation_batch_size)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question; the question is read once for all its options.

        Args:
            questions: Each with at least one option.
            normalise: Compare options by nats a token; otherwise by their sums, which favour short ones.

        Raises:
            DataError: A question has no options or has images, or an option is longer than `max_length`.
        """
        _refuse_images(questions)
        options = [[self.encoder.answer(option) for option in question.options] for question in questions]
        for question, own in zip(questions, options, strict=True):
            if not own:
                raise DataError(f"the question {question.prompt[:60]!r} has no options to choose from: give it some")
        prompts = [
            self.encoder.prompt(question.conversation, self._room(question, max(map(len, own))))
            for question, own in zip(questions, options, strict=True)
        ]
        self._tell(prompts, f"fit max_length {self.max_length} with the longest option")
        with _memory_enough("choosing", "evaluation.batch_size"):
            found = self._weights.option_likelihoods(
                [prompt.tokens for prompt in prompts], options, batch_size=self.generation_batch_size
            )
        return [over_options(likelihoods, normalise) for likelihoods in found]

    def _room(self, question: Question, longest: int) -> int:
        """What an option of `longest` tokens leaves for its question."""
        return self.encoder.room(question, longest, max(question.options, key=len))

    def _tell(self, encoded: Sequence[Encoded | Rendered], to: str) -> None:
        """Note how many prompts were shortened, and how."""
        if truncated := sum(one.truncated for one in encoded):
            dropped = sum(one.dropped > 0 for one in encoded)
            how = f", {dropped} of them by leaving out their oldest turns" if dropped else ""
            self.progress.note(f"{truncated} of {len(encoded)} prompts shortened to {to}{how}")

    def save(self, folder: Path) -> None:
        """Write the state into `folder`: an adapter as PEFT does, or the whole model; safetensors, nothing rounded.

        Raises:
            WorkspaceError: The folder can't be written, or the disk is full.
        """
        from safetensors import SafetensorError

        try:
            self._weights.save(Path(folder), self.stage)
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

    def count_tokens(self, example: Example) -> int:
        """Tokens of an example as it is trained on, before any shortening: for a budget in tokens."""
        return self.encoder.count_tokens(example)

    @property
    def encoder(self) -> PromptEncoder:
        """How prompts and answers become tokens."""
        if self._encoder is None:
            self._encoder = self._weights.encoder(self.prompt, self.max_length)
        return self._encoder

    def _train(self, examples: Sequence[TaughtExample]) -> tuple[Any, TrainingLoss, float]:
        """One run of Trainer over `examples`; returns its final state, the loss counted over it, and its seconds."""
        from transformers import PrinterCallback, set_seed

        seed = _stage_seed(self.seed, self.stage + 1)
        set_seed(seed)
        self._weights.begin_stage(self.stage + 1)
        model, loss = self._weights.model, TrainingLoss(self.objective)
        collate = self._collator(model)
        cache = model.config.use_cache
        self.log = []
        checkpoints = self._checkpoints(examples, loss)
        attention = packed_attention(model) if collate is pack else nullcontext()
        with self._output_dir() as output_dir, attention:
            resumed = checkpoints.resume()
            trainer = checkpoints.trainer(
                model=model,
                args=self._arguments(seed, str(output_dir), packed=collate is pack),
                train_dataset=[{"input_ids": example.encoded.tokens, "example": example} for example in examples],
                data_collator=lambda rows: _batch([row["example"] for row in rows], collate),
                compute_loss_func=loss,  # says that the loss is that of the whole step; Teaching calls it
                callbacks=[
                    training_log(self.log, self.progress, checkpoints),
                    checkpoints.callback(),
                    *self._weights.adapter.callbacks(),
                    *self.callbacks,
                ],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train(resume_from_checkpoint=resumed)
        trainer.accelerator.free_memory()
        # Accelerate's autocast and its mark: with the first kept, autocasts would nest stage in stage; with the second,
        # the next stage would get none, and go on in another precision than one that is resumed.
        for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
            vars(model).pop(name, None)
        model.config.use_cache = cache
        state = trainer.state
        del trainer
        gc.collect()  # the optimiser's state hangs in a cycle of references
        self._weights.end_stage()
        return state, loss, time.perf_counter() - checkpoints.begun

    def _checkpoints(self, examples: Sequence[TaughtExample], loss: TrainingLoss) -> Checkpoints:
        """The checkpoints of this stage: another stage, or one with other data or settings, has others."""
        folder = None if self.progress_dir is None else self.progress_dir / "training"
        if folder is None or self.save_every is None:
            return Checkpoints(None, None, "", self.log, loss, self.progress)
        decides = [
            [self.stage, self.seed, self.epochs, self.learning_rate, self.batch_size, self.batching],
            [self._weights.bf16, repr(sorted(self.hf_args.items())), self._weights.adapter.to_json(), self._minimised],
            [[one.encoded.tokens, one.encoded.positions, one.weight, dict(one.reason)] for one in examples],
            state_digest(self._weights.model),
        ]
        return Checkpoints(folder, self.save_every, content_digest(decides), self.log, loss, self.progress)

    def _collator(self, model: Any) -> Callable[[Sequence[Encoded]], dict[str, Any]]:
        """What joins examples to a batch."""
        if self.batching == "pack":
            with packed_attention(model):
                if packs_exactly(model):
                    return pack
            self.progress.note("this model mixes up packed examples, so batches are padded instead")
        pad_token = self._weights.pad_token
        return lambda examples: understood(model, pad(examples, pad_token))

    def _output_dir(self) -> AbstractContextManager[Any]:
        if self.log_dir is None and "output_dir" not in self.hf_args:
            return tempfile.TemporaryDirectory(prefix="inscl-")
        parent = Path(self.hf_args.get("output_dir") or self.log_dir or ".")
        return nullcontext(parent / f"stage-{self.stage + 1:02d}")

    def _arguments(self, seed: int, output_dir: str, packed: bool) -> Any:
        """Transformers' settings for one stage: ours, then the user's."""
        from transformers import TrainingArguments

        ours = {
            "num_train_epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "per_device_train_batch_size": self.batch_size,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 0.03,
            "train_sampling_strategy": "group_by_length" if self.batching == "length" else "random",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": self._weights.model.device.type == "cuda",
        }
        fixed = {
            "output_dir": output_dir,
            "seed": seed,
            "bf16": self._weights.bf16,
            "use_cpu": self._weights.model.device.type == "cpu",
            "remove_unused_columns": False,
            "include_num_input_tokens_seen": "all" if packed else "non_padding",
        }
        try:
            return TrainingArguments(**{**ours, **self.hf_args, **fixed})
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigError([Problem("training.hf_args", str(error))]) from error


def _refuse_images(questions: Sequence[Question]) -> None:
    """Refuse what this learner can't see.

    Raises:
        DataError: A question has images.
    """
    found = next((question for question in questions if question.images), None)
    if found is not None:
        raise DataError(
            f"the question {found.prompt[:60]!r} has images, and this learner reads text alone: leave such examples "
            "out, or choose a learner that takes images"
        )


def _batch(examples: Sequence[TaughtExample], collate: Callable[[Sequence[Encoded]], dict[str, Any]]) -> dict[str, Any]:
    """A batch as the model takes it, with the examples that it was made of."""
    return {**collate([example.encoded for example in examples]), "examples": list(examples)}


@contextmanager
def _memory_enough(doing: str, key: str) -> Iterator[None]:
    """Whatever says that memory is used up, said in one way.

    Raises:
        ModelError: It is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's processor allocator raises a bare RuntimeError, its devices a subclass called OutOfMemoryError.
        words = ("out of memory", "can't allocate memory", "not enough memory", "OutOfMemory")
        told = f"{type(error).__name__}: {error}"
        if not isinstance(error, MemoryError) and not any(word in told for word in words):
            raise
        raise ModelError(
            f"out of memory while {doing} ({str(error).splitlines()[0][:200] if str(error) else 'no details'}): lower "
            f"{key}, or free memory; then give the same command again, which goes on from what is finished"
        ) from error


def _check(choices: Mapping[str, Any], sizes: Mapping[str, Any], hf_args: Mapping[str, Any]) -> None:
    """Refuse settings that can't be, all at once."""
    problems = [
        Problem(
            f"{'training' if key == 'batching' else 'model'}.{key}", f"no {key} {value!r}{nearest(str(value), known)}"
        )
        for key, (value, known) in choices.items()
        if value not in known
    ]
    for key, value in sizes.items():
        if not 0 < value < float("inf"):
            place = "evaluation.batch_size" if key == "generation_batch_size" else f"training.{key}"
            problems.append(Problem(place, f"must be more than zero, got {value!r}"))
    for key in sorted(set(hf_args) & set(_RESERVED)):
        problems.append(Problem(f"training.hf_args.{key}", f"is set by inscl; {_RESERVED[key]}"))
    if hf_args:
        import inspect

        from transformers import TrainingArguments

        known_names = sorted(inspect.signature(TrainingArguments).parameters)
        for key in sorted(set(hf_args) - set(known_names) - set(_RESERVED)):
            problems.append(Problem(f"training.hf_args.{key}", f"transformers has none{_near(key, known_names)}"))
    if problems:
        raise ConfigError(problems)


def _near(name: str, known: Sequence[str]) -> str:
    """`nearest` without the listing of more than a hundred names."""
    hint = nearest(name, known)
    return hint.split("? there are")[0] + "?)" if "?" in hint else ""


def _stage_seed(seed: int, stage: int) -> int:
    """One 32-bit seed a stage, unrelated to those of other stages and seeds."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stage}".encode()).digest()[:4], "big")
