"""The weights of a model that is being taught: loaded, adapted, merged, written and read without loss."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from inscl.contract.seams import Adapter
from inscl.errors import MissingExtraError, ModelError
from inscl.models import names as model_names
from inscl.models.adapters.files import load_adapter, save_adapter
from inscl.models.precision import fastest_device, use_bf16
from inscl.storage.files.atomic import read_json, write_json

__all__ = ["TrainableModel"]

_RECORD = "learner.json"


class TrainableModel:
    """A causal language model with its tokenizer and, if wanted, an adapter; loaded at first use.

    A frozen model is held in bf16 where that is fast. What is trained or merged into is float32, since bf16 has eight
    bits of precision and rounds small updates away; with bf16 its arithmetic runs under autocast.

    Args:
        name: What `inscl.models.names.resolve` takes.
        adapter: What is trained.
        precision: ``auto``, ``bf16`` or ``fp32``.
        device: ``cpu``, ``cuda``, ...; the fastest there is if None.
    """

    def __init__(self, name: str, adapter: Adapter, precision: str = "auto", device: str | None = None) -> None:
        self.name, self.adapter, self.precision = name, adapter, precision
        self._device = device
        self._model: Any = None
        self._tokenizer: Any = None
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder the model came from."""
        if self._path is None:
            self._path = model_names.resolve(self.name)
        return self._path

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = _load("AutoTokenizer", self.path)
        return self._tokenizer

    @property
    def model(self) -> Any:
        """The model as it is now, adapter included."""
        if self._model is None:
            self._model = self._read(self.path)
        return self._model

    @property
    def bf16(self) -> bool:
        """Whether arithmetic is in bf16."""
        return use_bf16(self.precision)

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer."""
        settings = getattr(self.model, "generation_config", None)
        ends = getattr(settings, "eos_token_id", None)
        listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
        return frozenset([*listed, self.tokenizer.eos_token_id])

    @property
    def pad_token(self) -> int:
        """What fills up a batch; always masked."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    @property
    def keeps_base(self) -> bool:
        """Whether the weights the model came with stay as they are."""
        return self.adapter.keeps_base

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which forward passes run."""
        import torch

        return torch.autocast(self.model.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()

    def begin_stage(self, stage: int) -> None:
        """Put on the adapter that this stage (from 1) trains. A new one is random: seed first."""
        if self.adapter.starts_fresh:
            self._bare()
        if not _adapted(self.model):
            self._model = self.adapter.wrap(self.model, model_names.hub_name(self.name), stage)

    def end_stage(self) -> None:
        """Add the adapter into the weights, where that is the mode."""
        if self.adapter.merges and _adapted(self.model):
            self._model = self.model.merge_and_unload()

    def save(self, folder: Path, stage: int) -> None:
        """Write the state after `stage` into `folder`: an adapter as PEFT does, or the whole model; safetensors."""
        record = {
            "schema": 1,
            "learner": "fine_tune",
            "stage": stage,
            "model": self.name,
            "fingerprint": model_names.fingerprint(self.path),
            "adapter": self.adapter.to_json(),
        }
        with model_names.quiet():
            if self._model is not None and _adapted(self.model):
                save_adapter(self.model, folder)
            elif stage and not self.keeps_base:
                self.model.save_pretrained(folder)
                self.tokenizer.save_pretrained(folder)
        write_json(folder / _RECORD, record)

    def load(self, folder: Path) -> int:
        """Take the state in `folder`; returns its stage.

        Raises:
            ModelError: It was saved by another learner, model or adapter, or is damaged.
        """
        if not (folder / _RECORD).is_file():
            raise ModelError(f"{folder} holds no saved learner: {_RECORD} is missing")
        record = read_json(folder / _RECORD)
        current = model_names.fingerprint(self.path)
        mine = {"model": self.name, "fingerprint": current, "adapter": self.adapter.to_json()}
        for key, value in mine.items():
            if record.get(key) != value:
                raise ModelError(f"{folder} was saved with another {key} ({record.get(key)}, here {value})")
        if (folder / "adapter_model.safetensors").is_file():
            self._bare()
            self._model = self.adapter.wrap(self.model, model_names.hub_name(self.name))
            load_adapter(self.model, folder)
        else:
            self._model = self._read(folder) if (folder / "config.json").is_file() else None
        return int(record["stage"])

    def _bare(self) -> None:
        """Take the adapter off; the model underneath is as it came."""
        if self._model is not None and _adapted(self._model):
            self._model = self._model.unload()

    def _read(self, folder: Path) -> Any:
        import torch

        frozen = self.keeps_base and self.bf16
        model = _load("AutoModelForCausalLM", folder, dtype=torch.bfloat16 if frozen else torch.float32)
        return model.to(self._device or fastest_device())


def _adapted(model: Any) -> bool:
    return hasattr(model, "peft_config")


def _load(kind: str, folder: Path, **settings: Any) -> Any:
    """A tokenizer or model of transformers from a local folder; code in the folder is run where that is allowed."""
    try:
        import transformers
        from safetensors import SafetensorError
    except ImportError as error:
        raise MissingExtraError("fine-tuning a model", "train", error.name) from error
    try:
        with model_names.quiet():
            trusted = model_names.allowed(folder)
            return getattr(transformers, kind).from_pretrained(folder, trust_remote_code=trusted, **settings)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"transformers can't load the model in {folder}: {reason}") from error
