"""Adapters on a causal language model, LoRA and OSF: which, how one starts, how it is written and read."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.errors import ConfigError, MissingExtraError, ModelError, Problem, nearest
from inscl.models.adapters.osf import holding, osf_config, protected_rank, refuse_frozen

__all__ = ["Adapter"]

KINDS = ("lora", "osf", "none")
MODES = ("keep", "merge", "fresh")
_LORA = ("kind", "r", "alpha", "dropout", "target_modules", "mode")
_OSF = ("kind", "effective_rank", "rank_step", "hold", "target_modules")
_OURS = tuple(dict.fromkeys((*_LORA, *_OSF)))


@dataclass(frozen=True)
class Adapter:
    """What is trained: a LoRA adapter, the free directions that OSF leaves, or (``kind: none``) every weight.

    Attributes:
        kind: ``lora``, ``osf`` or ``none``.
        r: LoRA: rank of the update.
        alpha: LoRA: scale of the update, alpha / r.
        dropout: LoRA: dropout before the adapter.
        target_modules: PEFT's name for the layers that get one.
        mode: LoRA: ``keep`` trains one adapter through all stages; ``merge`` adds it into the weights after each stage
            and begins another; ``fresh`` begins each stage with a new adapter on the model as it came.
        effective_rank: OSF: directions of each weight matrix that the first stage protects, those of the largest
            singular values; a whole number, or a share below 1 of the smaller side.
        rank_step: OSF: what each later stage adds to it.
        hold: OSF: whether the trained factors are projected after each step too; see `inscl.models.adapters.osf`.
        more: LoRA: any other field of PEFT's `LoraConfig`.

    OSF always adds what a stage learned into the weights and decomposes them anew, so that the next stage protects the
    strongest directions of what the model knows by then, as PEFT's documentation does from task to task.
    """

    kind: str = "lora"
    r: int = 16
    alpha: float = 32
    dropout: float = 0.0
    target_modules: str | list[str] = "all-linear"
    mode: str = "keep"
    effective_rank: float = 0.5
    rank_step: float = 0
    hold: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> Adapter:
        """An adapter from a configuration's mapping; None is full fine-tuning.

        Raises:
            ConfigError: Unknown names or values; all of them at once.
        """
        settings = {"kind": "none"} if settings is None else dict(settings)
        if settings.get("effective_rank", 0) is None:
            del settings["effective_rank"]
        problems = []
        for key, known in (("kind", KINDS), ("mode", MODES)):
            value = settings.get(key, known[0])
            if value not in known:
                problems.append(Problem(f"adapter.{key}", f"no {key} {value!r}{nearest(str(value), known)}"))
        if not isinstance(settings.get("r", 1), int) or settings.get("r", 1) < 1:
            problems.append(Problem("adapter.r", f"must be a whole number of 1 or more, got {settings['r']!r}"))
        problems += _osf_problems(settings)
        more = {key: value for key, value in settings.items() if key not in _OURS}
        if more and (known_fields := _lora_fields()):
            for key in sorted(set(more) - known_fields):
                problems.append(Problem(f"adapter.{key}", f"unknown{nearest(key, [*_OURS, *sorted(known_fields)])}"))
        if problems:
            raise ConfigError(problems, "model")
        return cls(**{key: value for key, value in settings.items() if key in _OURS}, more=more)

    @property
    def merges(self) -> bool:
        """Whether what a stage learned is added into the weights at its end."""
        return self.kind == "osf" or (self.kind == "lora" and self.mode == "merge")

    def to_json(self) -> dict[str, Any]:
        """As in a configuration, without what the kind doesn't have."""
        keys = {"lora": _LORA, "osf": _OSF, "none": ("kind",)}[self.kind]
        return {**{key: getattr(self, key) for key in keys}, **(self.more if self.kind == "lora" else {})}

    def wrap(self, model: Any, base_name: str, stage: int = 1) -> Any:
        """`model` with a new adapter on it, float32 whatever the model's own format.

        Args:
            model: The model as it is before the stage.
            base_name: Goes into the adapter's record.
            stage: Which stage will be trained, from 1.

        Raises:
            ModelError: The layers asked for aren't there, or nothing would be left to train.
        """
        from peft import get_peft_model

        rank = protected_rank(self.effective_rank, self.rank_step, stage)
        config = osf_config(rank, self.target_modules) if self.kind == "osf" else self._lora()
        try:
            wrapped = get_peft_model(model, config)
        except ValueError as error:
            raise ModelError(f"no adapter fits {base_name}: {error}") from error
        if self.kind == "osf":
            refuse_frozen(wrapped, rank)
        wrapped.peft_config["default"].base_model_name_or_path = base_name
        return wrapped

    def callbacks(self) -> list[Any]:
        """What a Trainer has to call while it trains this adapter."""
        return [holding()] if self.kind == "osf" and self.hold else []

    def _lora(self) -> Any:
        from peft import LoraConfig

        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.target_modules,
            **self.more,
        )


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter as PEFT does (``adapter_config.json``, ``adapter_model.safetensors``), and nothing else."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"]
    training, config.inference_mode = config.inference_mode, True
    config.save_pretrained(folder)
    config.inference_mode = training


def load_adapter(model: Any, folder: Path) -> None:
    """Set the weights of the adapter that is on `model`.

    Raises:
        ModelError: The file is missing, or belongs to another adapter or model.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / "adapter_model.safetensors")
        outcome = set_peft_model_state_dict(model, weights)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise ModelError(f"can't load the adapter in {folder}: {error}") from error
    if outcome.unexpected_keys:
        raise ModelError(f"the adapter in {folder} is for another model: it has {outcome.unexpected_keys[0]!r}")


def _osf_problems(settings: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the numbers of OSF, or that they were given to another kind."""
    rank, step = settings.get("effective_rank", 0.5), settings.get("rank_step", 0)
    if settings.get("kind") != "osf":
        given = [key for key, value in (("effective_rank", rank), ("rank_step", step)) if key in settings and value]
        return [Problem(f"adapter.{key}", "belongs to the kind osf; set adapter.kind to it") for key in given]
    problems = []
    if isinstance(rank, bool) or not (rank >= 1 if isinstance(rank, int) else 0 < rank < 1):
        said = "must be a whole number of 1 or more, or a share between 0 and 1"
        problems.append(Problem("adapter.effective_rank", f"{said}, got {rank!r}"))
    if step < 0 or (isinstance(rank, int) and step != int(step)):
        said = "must be 0 or more, and a whole number where effective_rank is one"
        problems.append(Problem("adapter.rank_step", f"{said}, got {step!r}"))
    if settings.get("mode", "keep") == "fresh":
        said = "osf goes on from what earlier stages learned; leave mode out"
        problems.append(Problem("adapter.mode", said))
    return problems


def _lora_fields() -> set[str]:
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtraError("an adapter", "train", "peft") from error
    return set(inspect.signature(LoraConfig).parameters) - {"task_type", "lora_alpha", "lora_dropout"}
