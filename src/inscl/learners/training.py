"""Training a model on the examples of one stage: thin over transformers' Trainer."""

from __future__ import annotations

import copy
import gc
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from inscl.contract import Example
from inscl.contract.objective import Objective, Preparing, TaughtExample
from inscl.contract.seams import Progress
from inscl.contract.traits import ObjectiveTraits, traits_of
from inscl.errors import ConfigError, Problem
from inscl.learners.averaging import Averaging, trained_weights
from inscl.learners.checkpoints import Checkpoints, state_digest
from inscl.learners.hf_args import check_packages
from inscl.learners.out_of_memory import memory_enough
from inscl.learners.placement import Placed
from inscl.learners.sharding import Sharding, sharded_training
from inscl.learners.spikes import MARK, WINDOW, LossSpike, spike_watch, spikes_of
from inscl.learners.step_loss import StepLoss
from inscl.learners.training_log import training_log
from inscl.models.adapters.fused_lora import fused_lora
from inscl.models.batches import pack, packs_exactly, pad, understood
from inscl.models.kept_memory import kept_memory
from inscl.models.names import quiet
from inscl.models.objectives.other_states import OtherStates
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.packed_attention import packed_attention
from inscl.models.prompts import Encoded
from inscl.models.ranks import number_of_ranks
from inscl.models.trainable_model import TrainableModel
from inscl.storage.files.integrity import content_digest

__all__ = ["BATCHINGS", "Trained", "Training", "stage_seed"]

BATCHINGS = ("pack", "length", "random")


@dataclass(frozen=True)
class Trained:
    """What training one stage took.

    Attributes:
        steps: Optimiser steps.
        epochs: Passes over the examples.
        tokens: Seen, padding not counted.
        loss: Summed over the stage, with the tokens it was counted on.
        seconds: Wall time.
        facts: Spikes of the loss and restarts, where there were any.
    """

    steps: int
    epochs: float
    tokens: int
    loss: TrainingLoss
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stage:
    """What one call of `Training.teach` is about; its arguments, and what an objective may read besides."""

    number: int
    examples: Sequence[TaughtExample]
    log: list[dict[str, Any]]
    kept: Path | None
    visits: dict[str, tuple[float, float]] | None
    states: OtherStates


@dataclass(frozen=True)
class _Attempt:
    """The run of Trainer that a stage ends with.

    Attributes:
        state: Trainer's, at the end.
        loss: With its counts.
        begun: When it began, on ``time.perf_counter``'s clock.
        restarts: The runs before it whose loss spiked: where, with which rate, and to which step they went back.
    """

    state: Any
    loss: TrainingLoss
    begun: float
    restarts: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Training:
    """How a model is trained, stage after stage; the settings are those of `inscl.learners.fine_tune.FineTune`.

    Attributes:
        model: What is trained.
        encode: From an example to token ids, for an objective that reads other texts.
        objective: What is minimised.
        minimised: Its registered name and parameters.
        epochs: Passes over new and replayed examples, mixed.
        learning_rate: Its maximum.
        batch_size: Examples an optimiser step and device.
        batching: One of `BATCHINGS`.
        hf_args: What else is given to transformers' `TrainingArguments`.
        seed: With the number of a stage it decides order, dropout and new adapters.
        progress: Who is told.
        log_dir: Where transformers puts what `hf_args` asks for; nowhere if None.
        callbacks: Transformers' `TrainerCallback`s, for every stage.
        save_every: Seconds between two checkpoints; 0 makes one a step, None none.
        averaging: Averages the weights of a stage; None ends it on its last step.
        placement: One of `PLACEMENTS`: where the replayed examples come up.
        finish: Called with the model after a stage, before an adapter is merged, and with the weights that the stage
            trained as they were before it.
        restarts: How often a stage whose loss spikes goes back with half the rate.
    """

    model: TrainableModel
    encode: Callable[[Example], Encoded]
    objective: Objective
    minimised: tuple[str, Mapping[str, Any]]
    epochs: float
    learning_rate: float
    batch_size: int
    batching: str
    hf_args: Mapping[str, Any]
    seed: int
    progress: Progress
    log_dir: Path | None
    callbacks: Sequence[Any]
    save_every: float | None
    averaging: Averaging | None = None
    placement: str = "mixed"
    finish: Callable[[Any, Mapping[str, Any]], None] | None = None
    restarts: int = 0

    def teach(
        self,
        stage: int,
        examples: Sequence[TaughtExample],
        log: list[dict[str, Any]],
        kept: Path | None,
        visits: dict[str, tuple[float, float]] | None = None,
    ) -> Trained:
        """One run of Trainer over `examples`.

        Args:
            stage: Number of the stage, from 1.
            examples: What is taught, new and replayed.
            log: Gets a row a step.
            kept: A folder that outlives this process: an interrupted call goes on from what it left there.
            visits: Filled as `TrainingLoss` says; None measures nothing.

        Raises:
            ConfigError: `hf_args` can't be.
            ModelError: The model can't be loaded, memory ran out, or training diverged.
        """
        from transformers import set_seed

        check_packages(self.hf_args)
        traits = traits_of(self.objective, ObjectiveTraits)
        states = OtherStates(self.model, self.encode, traits.reads)
        memory = memory_enough("training", "training.batch_size or training.max_length")
        with quiet(), memory, self._folder(kept) as folder:
            work = _Stage(stage, examples, log, folder and Path(folder), visits, states)
            self._tell_of_ranks(len(examples))
            if traits.prepares:
                cast(Preparing, self.objective).prepare(examples)
            set_seed(stage_seed(self.seed, stage))
            work.states.begin_stage(stage)
            start = _copied(self.model.model) if self.finish or self.restarts else {}
            done = self._until_calm(work, start)
            done.loss.share()
            gc.collect()  # the optimiser's state hangs in a cycle of references
            work.states.end_stage()
            if self.averaging:
                self.averaging.end(self.model.model, done.state.global_step)
            if self.finish:
                self.finish(self.model.model, start)
            self.model.end_stage()
        seconds, tokens = time.perf_counter() - done.begun, int(done.state.num_input_tokens_seen)
        facts = self._facts(log, done.restarts)
        return Trained(done.state.global_step, done.state.epoch, tokens, done.loss, seconds, facts)

    def _tell_of_ranks(self, count: int) -> None:
        """Say how many of `count` examples come up more often than others, so that all processes have as many."""
        ranks = number_of_ranks()
        if again := -count % (ranks * self.batch_size) if ranks > 1 else 0:
            self.progress.note(
                f"{again} examples come twice an epoch, so that all {ranks} processes have whole batches"
            )

    def _folder(self, kept: Path | None) -> AbstractContextManager[Any]:
        """Where checkpoints lie: a stage that may go back needs them, even if nothing of it outlives this process."""
        if kept is None and self.restarts and self.save_every is not None:
            return tempfile.TemporaryDirectory(prefix="inscl-")
        return nullcontext(kept)

    def _until_calm(self, work: _Stage, start: Mapping[str, Any]) -> _Attempt:
        """Train a stage; one whose loss spikes goes back with half the rate, as often as is allowed.

        It goes back to the last mark that lies a window of losses before the spike, or to the beginning.

        Args:
            work: The stage.
            start: The weights that it trains as they are now, if it may go back.
        """
        from torch import get_rng_state, set_rng_state

        chance = get_rng_state()
        restarts: list[dict[str, Any]] = []
        while True:
            loss = TrainingLoss(self.objective, work.states, work.visits)
            checkpoints = self._checkpoints(work, loss, restarts)
            if self.averaging:
                self.averaging.begin(self.model.model)
            try:
                state = self._run(work, loss, checkpoints)
                return _Attempt(state, loss, checkpoints.begun, restarts)
            except LossSpike as spike:
                rate, back = self._rate(len(restarts)), checkpoints.step_back(spike.step - WINDOW)
                restarts.append({"step": spike.step, "loss": spike.loss, "learning_rate": rate, "back_to": back})
                goes = f"goes back to step {back}" if back else "begins again"
                self.progress.note(f"{spike}: the stage {goes} with half of its rate of {rate:g}")
            work.log.clear()
            if work.visits:
                work.visits.clear()
            _put_back(self.model.model, start)
            set_rng_state(chance)

    def _rate(self, restarts: int) -> float:
        """The learning rate after so many restarts."""
        return self.learning_rate * 0.5**restarts

    def _facts(self, log: Sequence[Mapping[str, Any]], restarts: Sequence[Any]) -> dict[str, Any]:
        """What is recorded of a stage beside its counts."""
        facts: dict[str, Any] = {}
        if restarts:
            facts |= {"restarts": restarts, "learning_rate": self._rate(len(restarts))}
        if (ranks := number_of_ranks()) > 1:
            facts["processes"] = ranks
        if sharded_training(self.hf_args):
            facts["sharding"] = "fsdp2"
        if spikes := spikes_of([row["loss"] for row in log]):
            facts["spikes"] = spikes
        return facts

    def _run(self, work: _Stage, loss: TrainingLoss, checkpoints: Checkpoints) -> Any:
        """One run of Trainer, from its newest checkpoint on; returns its final state, leaves the model as it was."""
        from transformers import PrinterCallback

        network = self.model.model
        collate = work.states.collate = self._collator(network)
        settings = network.config.get_text_config()
        cache = settings.use_cache
        attention = packed_attention(network) if collate is pack else nullcontext()
        with self._output_dir(work.number) as output_dir, attention, fused_lora(network):
            resumed = checkpoints.resume()
            halved = len(checkpoints.restarts)
            rate, guarded = self._rate(halved), halved < self.restarts
            batch = partial(_batch, collate=collate)
            arguments = self._arguments(work.number, str(output_dir), collate is pack, rate)
            shards = Sharding(network, self.model.bf16) if sharded_training(self.hf_args) else None
            if shards:
                shards.prepare(arguments)
            trainer = checkpoints.trainer(
                StepLoss(loss, batch),
                model=shards.copy if shards else network,
                args=arguments,
                train_dataset=[{"input_ids": example.encoded.tokens, "example": example} for example in work.examples],
                data_collator=lambda rows: batch([row["example"] for row in rows]),
                compute_loss_func=loss,  # says that the loss is that of the whole step; Teaching calls it
                callbacks=[
                    training_log(work.log, self.progress, checkpoints, guarded),
                    spike_watch(work.log, self.progress, guarded),
                    checkpoints.callback(),
                    *([self.averaging.callback()] if self.averaging else []),
                    *self.model.adapter.callbacks(),
                    *([shards.callback()] if shards else []),
                    *self.callbacks,
                ],
            )
            trainer.remove_callback(PrinterCallback)
            try:
                with kept_memory():
                    trainer.train(resume_from_checkpoint=resumed)
            finally:
                # Accelerate's autocast and its mark: with the first kept, autocasts would nest stage in stage; with the
                # second, the next stage would get none, and go on in another precision than one that is resumed.
                for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
                    vars(network).pop(name, None)
                settings.use_cache = cache
            if shards:
                shards.gather()
        return trainer.state

    def _checkpoints(self, work: _Stage, loss: TrainingLoss, restarts: list[dict[str, Any]]) -> Checkpoints:
        """The checkpoints of this stage: another stage, or one with other data or settings, has others."""
        seed = stage_seed(self.seed, work.number)
        placed = None if self.placement == "mixed" else Placed(work.examples, self.placement, self.epochs, seed)
        more: dict[str, Any] = {"averaging": self.averaging, "sampler": placed, "restarts": restarts}
        sharded = sharded_training(self.hf_args) or bool(self.hf_args.get("deepspeed"))
        if sharded and work.kept is not None and self.save_every is not None:
            self.progress.note("no checkpoints of weights in shards: a stage that is interrupted begins again")
        if sharded or work.kept is None or self.save_every is None:
            return Checkpoints(None, None, "", work.log, loss, self.progress, **more)
        more["marks"] = MARK if self.restarts else 0
        decides = [
            [work.number, self.seed, self.epochs, self.learning_rate, self.restarts, self.batch_size, self.batching],
            [self.model.bf16, repr(sorted(self.hf_args.items())), self.model.adapter.to_json(), self.minimised],
            [[one.encoded.tokens, one.encoded.positions, one.weight, dict(one.reason)] for one in work.examples],
            state_digest(self.model.model),
            [self.placement, self.averaging.to_json() if self.averaging else None],
        ]
        belongs = content_digest(decides)
        return Checkpoints(
            Path(work.kept) / "training", self.save_every, belongs, work.log, loss, self.progress, **more
        )

    def _collator(self, model: Any) -> Callable[[Sequence[Encoded]], dict[str, Any]]:
        """What joins examples to a batch."""
        if self.batching == "pack":
            with packed_attention(model):
                if packs_exactly(model):
                    return pack
            self.progress.note("this model mixes up packed examples, so batches are padded instead")
        pad_token = self.model.pad_token
        return lambda examples: understood(model, pad(examples, pad_token))

    def _output_dir(self, stage: int) -> AbstractContextManager[Any]:
        if self.log_dir is None and "output_dir" not in self.hf_args:
            return tempfile.TemporaryDirectory(prefix="inscl-")
        parent = Path(self.hf_args.get("output_dir") or self.log_dir or ".")
        return nullcontext(parent / f"stage-{stage:02d}")

    def _arguments(self, stage: int, output_dir: str, packed: bool, rate: float) -> Any:
        """Transformers' settings for one stage: ours, then the user's."""
        from transformers import TrainingArguments

        ours = {
            "num_train_epochs": self.epochs,
            "learning_rate": rate,
            "per_device_train_batch_size": self.batch_size,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 0.03,
            "train_sampling_strategy": "group_by_length" if self.batching == "length" else "random",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": self.model.model.device.type == "cuda",
        }
        fixed = {
            "output_dir": output_dir,
            "seed": stage_seed(self.seed, stage),
            "bf16": self.model.bf16,
            "use_cpu": self.model.model.device.type == "cpu",
            "remove_unused_columns": False,
            "include_num_input_tokens_seen": "all" if packed else "non_padding",
        }
        try:
            # A copy, since transformers writes what it makes of them into settings such as fsdp_config.
            return TrainingArguments(**{**ours, **copy.deepcopy(dict(self.hf_args)), **fixed})
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigError([Problem("training.hf_args", str(error))]) from error


def _batch(examples: Sequence[TaughtExample], collate: Callable[[Sequence[Encoded]], dict[str, Any]]) -> dict[str, Any]:
    """A batch as the model takes it, with the examples that it was made of."""
    return {**collate([example.encoded for example in examples]), "examples": list(examples)}


def _copied(network: Any) -> dict[str, Any]:
    return {name: weight.detach().clone() for name, weight in trained_weights(network).items()}


def _put_back(network: Any, weights: Mapping[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, weight in trained_weights(network).items():
            weight.copy_(weights[name])
            weight.grad = None


def stage_seed(seed: int, stage: int) -> int:
    """One 32-bit seed a stage, unrelated to those of other stages and seeds."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stage}".encode()).digest()[:4], "big")
