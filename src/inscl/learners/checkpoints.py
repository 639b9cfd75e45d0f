"""Resuming within a stage: Trainer's checkpoints with checksums, used only if intact and of the same stage.

A checkpoint of Trainer holds weights, optimiser, learning rate schedule and the states of all random generators; from
the number of steps it finds its place in the data's order. Added here: the chance that this epoch's order was drawn by
(Trainer repeats an order only where it shuffles by a generator of its own), the rows logged and the loss counted so
far, and a checksum of every file. The optimiser's state is in torch's own format; it is read with ``weights_only``,
which runs no code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inscl.contract.seams import Progress
from inscl.errors import WorkspaceError
from inscl.learners.averaging import Averaging
from inscl.models.adapters.files import save_adapter
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.ranks import gathered, same_chance, this_rank
from inscl.storage.files.atomic import write_json
from inscl.storage.files.integrity import damaged, digests, seal, sealed_value

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["Checkpoints", "state_digest"]

_SEAL = "inscl.json"
_KEPT = 2  # one to go on from, and the one before should it be damaged; as many of those at marks
_LEAST_BETWEEN = 20  # times what saving takes: it costs at most a twentieth of the time


@dataclass
class Checkpoints:
    """The checkpoints of one stage's training.

    Attributes:
        folder: Where they lie; None keeps none.
        every: Seconds of training between two; 0 saves after every step, None never.
        belongs: A digest of everything that decides the training; a checkpoint of another is not used.
        rows: The stage's log so far; going on from a checkpoint fills it.
        loss: The stage's loss so far, likewise.
        progress: Told when a checkpoint can't be kept.
        averaging: Whose average is kept with each checkpoint; None for none.
        sampler: What gives the order of the examples; None leaves it to Trainer.
        marks: Steps between two checkpoints that `step_back` may go to; their places depend on no clock. 0 makes none.
        restarts: The spikes of the loss so far, each of which halved the rate; going on from a checkpoint fills it.
        begun: When training began, on ``time.perf_counter``'s clock; earlier where a checkpoint was gone on from.
    """

    folder: Path | None
    every: float | None
    belongs: str
    rows: list[dict[str, Any]]
    loss: TrainingLoss
    progress: Progress
    averaging: Averaging | None = None
    sampler: Any = None
    marks: int = 0
    restarts: list[dict[str, Any]] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)
    _epoch: str = ""  # the state of torch's generator when the epoch began
    _resuming: bool = False
    _slower: float = (
        1.0  # what the rate is multiplied by, where restarts came after the checkpoint that is gone on from
    )

    def resume(self) -> str | None:
        """The newest checkpoint that is whole, for Trainer; `rows`, `loss` and `begun` are then as they were there.

        On several ranks the first one looks for it, since what is damaged is removed.
        """
        whole = self._whole() if this_rank() == 0 else None
        name = gathered(whole and whole.name)[0]
        if name is None:
            return None
        path = Path(self.folder or "") / name
        if (record := _record(path)) is None:
            raise WorkspaceError(f"{path} isn't there: all processes must see the run folder under the same path")
        self.rows[:] = record["rows"]
        self.loss.tokens, self.loss.total = record["loss"]
        if self.loss.visits is not None:
            self.loss.visits.update({one: (first, last) for one, (first, last) in record["visits"].items()})
        self.loss.set_shared()
        if self.averaging is not None:
            self.averaging.take(path)
        self._epoch, self._resuming = record["epoch"], True
        if len(record["restarts"]) > len(self.restarts):
            self.restarts[:] = record["restarts"]
        self._slower = 0.5 ** (len(self.restarts) - len(record["restarts"]))
        self.begun = time.perf_counter() - record["seconds"]
        if self._slower == 1:
            self.progress.note(f"going on after step {record['step']} of an interrupted training")
        return str(path)

    def step_back(self, before: int) -> int:
        """Leave nothing to go on from but the last mark up to the step `before`; its step, 0 where there is none."""
        goal = max(0, before) // self.marks * self.marks if self.marks else 0
        for path in self._newest_first():
            if _step(path) > goal:
                shutil.rmtree(path, ignore_errors=True)
        return _step(whole) if (whole := self._whole()) else 0

    def _whole(self) -> Path | None:
        """The newest checkpoint that is whole and of this training; others are removed on the way to it."""
        for path in self._newest_first():
            record = _record(path)
            if record is not None and record["belongs"] == self.belongs and not damaged(path, record["files"]):
                return path
            if record is not None and record["belongs"] == self.belongs:
                self.progress.note(f"the checkpoint {path} is damaged and isn't used")
            shutil.rmtree(path, ignore_errors=True)
        return None

    def callback(self) -> TrainerCallback:
        """Asks Trainer to save when it is time; never after the last step, from which there is nothing to go on to."""
        from transformers import TrainerCallback

        checkpoints = self

        class Timer(TrainerCallback):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
            def on_train_begin(
                self, args: Any, state: Any, control: Any, optimizer: Any = None, lr_scheduler: Any = None, **_: Any
            ) -> None:
                self.last = self.asked = time.monotonic()
                self.took = 0.0
                if checkpoints._slower != 1:
                    _slow_down(optimizer, lr_scheduler, checkpoints._slower)

            def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                checkpoints.begin_epoch()

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if checkpoints.folder is None or state.global_step >= state.max_steps:
                    return
                due = checkpoints.marks > 0 and state.global_step % checkpoints.marks == 0
                if checkpoints.every is not None and not due:
                    wait = max(checkpoints.every, _LEAST_BETWEEN * self.took) if checkpoints.every else 0.0
                    due = time.monotonic() - self.last >= wait
                if gathered(due)[0]:  # the first rank's clock counts
                    control.should_save = True
                    self.asked = time.monotonic()

            def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                self.last = time.monotonic()
                self.took = self.last - self.asked

        return Timer()

    def trainer(self, step_loss: Callable[[Any, dict[str, Any], Any], Any], **settings: Any) -> Any:
        """A Trainer whose checkpoints are these, and whose loss is ``step_loss(model, inputs, answer tokens)``."""
        from transformers import Trainer

        checkpoints = self

        class Teaching(Trainer):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
            def _get_train_sampler(self, train_dataset: Any = None) -> Any:
                return checkpoints.sampler or super()._get_train_sampler(train_dataset)

            def compute_loss(
                self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
            ) -> Any:
                # Trainer's own function of a loss sees no weights, and no reasons. The tokens of a step are those of
                # all ranks, of whose gradients the mean is taken: the factor makes it their sum.
                together = self.args.average_tokens_across_devices and num_items_in_batch is not None
                factor = self.accelerator.num_processes if together else 1
                loss = step_loss(model, inputs, num_items_in_batch) * factor
                return (loss, None) if return_outputs else loss

            def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
                if num_training_steps == 1:
                    self.args.warmup_steps = 0  # the first step of a warm-up has a rate of 0: nothing would be learned
                return super().create_scheduler(num_training_steps, optimizer)

            def floating_point_ops(self, inputs: dict[str, Any]) -> int:
                # Nobody reads the estimate, and for it all parameters would be counted anew at each step.
                return 0

        if self.folder is None or self.every is None:
            return Teaching(**settings)

        class Resumable(Teaching):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
            def _get_output_dir(self, trial: Any) -> str:
                return str(checkpoints.folder)

            def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
                if this_rank():
                    return
                if hasattr(self.model, "peft_config"):
                    # As the stage's own state is saved: PEFT's way asks the hub about the base model.
                    Path(str(output_dir)).mkdir(parents=True, exist_ok=True)
                    save_adapter(self.model, Path(str(output_dir)))
                else:
                    super().save_model(output_dir, _internal_call=_internal_call)

            def _save_checkpoint(self, *arguments: Any, **keywords: Any) -> None:
                write = super()._save_checkpoint
                ended = float(self.state.epoch).is_integer()
                checkpoints.save(self.state.global_step, ended, lambda: write(*arguments, **keywords))

        return Resumable(**settings)

    def begin_epoch(self) -> None:
        """Note the chance that an epoch's order is drawn from; going on inside an epoch, draw the same again."""
        if self._resuming:
            _set_chance(self._epoch)
        same_chance()
        self.loss.share()
        self._resuming, self._epoch = False, _chance()

    def save(self, step: int, epoch_ended: bool, write: Callable[[], None]) -> None:
        """Have Trainer write the checkpoint of a step, seal it and drop old ones. A full disk doesn't stop training."""
        from safetensors import SafetensorError

        path, failed = Path(self.folder or "") / f"checkpoint-{step}", ""
        try:
            write()
        except (OSError, RuntimeError, SafetensorError) as error:  # torch's own is a RuntimeError
            failed = str(error) or type(error).__name__
        self.loss.share()
        failed = next(filter(None, gathered(failed)), "")  # every rank has written its own random states by now
        if this_rank():
            return
        try:
            if failed:
                raise WorkspaceError(failed)
            self._seal(path, step, epoch_ended)
        except (OSError, RuntimeError, SafetensorError, WorkspaceError) as error:
            shutil.rmtree(path, ignore_errors=True)
            self.every, self.marks = None, 0
            self.progress.note(f"can't keep this training's progress in {self.folder} ({error}): it goes on without")
        newest = list(self._newest_first())
        marked = [path for path in newest if self.marks and _step(path) % self.marks == 0]
        for old in set(newest[_KEPT:]) - set(marked[:_KEPT]):
            shutil.rmtree(old, ignore_errors=True)

    def _seal(self, path: Path, step: int, epoch_ended: bool) -> None:
        """Add to a checkpoint what Trainer doesn't keep, and the checksums that make it count."""
        if self.averaging is not None:
            self.averaging.keep(path)
        # Settings as a pickle: nothing here reads it.
        (path / "training_args.bin").unlink(missing_ok=True)
        record = {
            "belongs": self.belongs,
            "step": step,
            "rows": self.rows,
            "loss": [self.loss.tokens, self.loss.total],
            "visits": self.loss.visits or {},
            "epoch": _chance() if epoch_ended else self._epoch,
            "restarts": self.restarts,
            "seconds": time.perf_counter() - self.begun,
            "files": digests(path, durable=True),
        }
        write_json(path / _SEAL, seal(record))

    def _newest_first(self) -> Iterator[Path]:
        """By their steps: the times of files tell nothing where a clock has jumped."""
        found = [] if self.folder is None or not self.folder.is_dir() else list(self.folder.glob("checkpoint-*"))
        yield from sorted((path for path in found if path.name[11:].isdigit()), key=_step, reverse=True)


def state_digest(model: Any) -> str:
    """A digest of a sample of all weights: what tells one state of a model from another."""
    state = hashlib.sha256()
    for name, weight in model.named_parameters():
        values = weight.detach().flatten()
        sample = values[:: max(1, len(values) // 64)].float().cpu().numpy()
        state.update(f"{name} {tuple(weight.shape)} {weight.requires_grad}".encode() + sample.tobytes())
    return state.hexdigest()


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name[11:])


def _slow_down(optimizer: Any, schedule: Any, factor: float) -> None:
    """Multiply the rate that a checkpoint goes on with, now and over the rest of its schedule."""
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor
    schedule = getattr(schedule, "scheduler", schedule)  # accelerate's wraps torch's
    schedule.base_lrs = [rate * factor for rate in schedule.base_lrs]


def _chance() -> str:
    """The state of torch's generator, hexadecimal."""
    import torch

    return bytes(torch.random.get_rng_state().tolist()).hex()


def _set_chance(state: str) -> None:
    import torch

    torch.random.set_rng_state(torch.tensor(list(bytes.fromhex(state)), dtype=torch.uint8))


def _record(path: Path) -> dict[str, Any] | None:
    try:
        return sealed_value(json.loads((path / _SEAL).read_bytes()))
    except (OSError, ValueError):
        return None
