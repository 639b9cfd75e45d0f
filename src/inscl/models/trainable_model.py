"""A language model that is being taught: its adapter put on, trained, merged, written and read without loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from inscl.contract.seams import Adapter
from inscl.models import names as model_names
from inscl.models.adapters.files import load_adapter, save_adapter
from inscl.models.adapters.fused_lora import fused_lora
from inscl.models.language_model import LanguageModel
from inscl.models.lower_states import LowerStates, attach
from inscl.models.picture_tokens import freeze_sight
from inscl.models.saved_record import read_saved_stage, write_saved_stage
from inscl.models.shared_weights import network_in, take

__all__ = ["TrainableModel"]


class TrainableModel(LanguageModel):
    """A language model with, if wanted, an adapter: what is being taught, merged, written and read without loss.

    A frozen model is held in bf16 where that is fast. What is trained or merged into is float32, since bf16 has eight
    bits of precision and rounds small updates away; with bf16 its arithmetic runs under autocast.

    The base weights are shared with whoever reads the model as it came, as long as they stay that (`keeps_base`).
    Adapters that are added into them, OSF and full fine-tuning change them at the first stage: an embedder by the same
    model then loads a second copy at its next use.

    Args:
        name: What `inscl.models.names.resolve` takes.
        adapter: What is trained.
        precision: ``auto``, ``bf16`` or ``fp32``.
        device: ``cpu``, ``cuda``, ...; the fastest there is if None.
        lower: Keeps what frozen lower layers make of the texts; None runs them each time.
    """

    def __init__(
        self,
        name: str,
        adapter: Adapter,
        precision: str = "auto",
        device: str | None = None,
        lower: LowerStates | None = None,
    ) -> None:
        super().__init__(name, precision, device)
        self.adapter, self.lower = adapter, lower
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model as it is now, adapter included."""
        if self._model is None:
            frozen = self.keeps_base and self.bf16
            self._weights = take(self.path, self.device, frozen, self)
            self._model = self._weights.network
        return self._model

    @property
    def keeps_base(self) -> bool:
        """Whether the weights the model came with stay as they are."""
        return self.adapter.keeps_base

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The context in which forward passes run: the adapter on, under autocast with bf16."""
        import torch

        autocast = torch.autocast(self.model.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()
        with autocast, fused_lora(self.model, frozen=True):
            yield

    def keep_apart(self) -> None:
        """From here on nobody else reads these weights as the model that came: they will be changed."""
        if self.model is not None and self._weights is not None:
            self._weights.intact = False

    def begin_stage(self, stage: int) -> None:
        """Put on the adapter that this stage (from 1) trains. A new one is random: seed first."""
        if not self.keeps_base:
            self.keep_apart()
        if self.adapter.starts_fresh:
            self._bare()
        if not _adapted(self.model):
            self._wrap(stage)

    def end_stage(self) -> None:
        """Add the adapter into the weights, where that is the mode."""
        if self.adapter.merges and _adapted(self.model):
            self._model = self.model.merge_and_unload()
            if self._weights is not None:
                self._weights.adapted = None

    def save(self, folder: Path, stage: int) -> None:
        """Write the state after `stage` into `folder`: an adapter as PEFT does, or the whole model; safetensors."""
        with model_names.quiet():
            if self._model is not None and _adapted(self.model):
                save_adapter(self.model, folder)
            elif stage and not self.keeps_base:
                self.model.save_pretrained(folder)
                self.tokenizer.save_pretrained(folder)
        write_saved_stage(folder, stage, self.name, self._identity)

    def load(self, folder: Path) -> int:
        """Take the state in `folder`; returns its stage.

        Raises:
            ModelError: It was saved by another learner, model or adapter, or is damaged.
        """
        stage = read_saved_stage(folder, self._identity)
        if (folder / "adapter_model.safetensors").is_file():
            with model_names.quiet():
                self._bare()
                self._wrap()
                load_adapter(self.model, folder)
        elif (folder / "config.json").is_file():
            self._weights, self._model = None, self._read(folder)
        else:
            self._weights, self._model = None, None
        return stage

    @property
    def _identity(self) -> dict[str, Any]:
        """What a saved state must share with this model."""
        fingerprint = model_names.fingerprint(self.path)
        return {
            "learner": "fine_tune",
            "model": self.name,
            "fingerprint": fingerprint,
            "adapter": self.adapter.to_json(),
        }

    def _wrap(self, stage: int = 1) -> None:
        self._model = self.adapter.wrap(self.model, model_names.hub_name(self.name), stage)
        freeze_sight(self._model)
        if self._weights is not None and _adapted(self._model):
            self._weights.adapted = self._model
        if self.lower is not None:
            attach(self._model, self.lower)

    def _bare(self) -> None:
        """Take the adapter off; the model underneath is as it came."""
        if self._model is not None and _adapted(self._model):
            self._model = self._model.unload()
            if self._weights is not None:
                self._weights.adapted = None

    def _read(self, folder: Path) -> Any:
        """A whole model that was saved after a stage."""
        import torch

        return network_in(folder, torch.float32, self.device, self.path)


def _adapted(model: Any) -> bool:
    return hasattr(model, "peft_config")
