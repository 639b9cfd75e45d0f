"""LoRA: low-rank updates beside frozen weights, PEFT's own."""

from __future__ import annotations

import inspect
from typing import Any

from inscl.config import kinds
from inscl.errors import ConfigError, MissingExtraError, ModelError, Problem, nearest
from inscl.models.picture_tokens import sight

__all__ = ["MODES", "LoRA"]

MODES = ("keep", "merge", "fresh")


class LoRA:
    r"""Low-rank adaptation (Hu et al. 2022, arXiv:2106.09685).

    .. math:: W' = W + \frac{\alpha}{r} B A

    with :math:`A` and :math:`B` of rank r trained and :math:`W` frozen.

    Args:
        r: Rank of the update.
        alpha: Scale of the update; its effect is alpha / r.
        dropout: Dropout before the adapter.
        target_modules: Which modules get one, as PEFT names them.
        mode: From stage to stage: ``keep`` goes on with the same adapter; ``merge`` adds it into the weights and begins
            another; ``fresh`` starts over from the base model, so that only replay carries the past.
        **more: Any other field of PEFT's `LoraConfig`.

    Raises:
        ConfigError: Unknown names or values; all of them at once.
    """

    def __init__(
        self,
        r: int = 16,
        alpha: float = 32,
        dropout: float = 0.0,
        target_modules: str | list[str] = "all-linear",
        mode: str = "keep",
        **more: Any,
    ) -> None:
        problems = []
        if isinstance(r, bool) or not isinstance(r, int) or r < 1:
            problems.append(Problem("r", f"must be a whole number of 1 or more, got {r!r}"))
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not alpha > 0:
            problems.append(Problem("alpha", f"must be above 0, got {alpha!r}"))
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            problems.append(Problem("dropout", f"must be from 0 to below 1, got {dropout!r}"))
        if mode not in MODES:
            problems.append(Problem("mode", f"no mode {mode!r}{nearest(str(mode), MODES)}"))
        if more:
            problems += kinds.parameter_problems(LoRA, more)
        if problems:
            raise ConfigError(problems, "adapter lora")
        self.r, self.alpha, self.dropout = r, alpha, dropout
        self.target_modules, self.mode, self.more = target_modules, mode, more

    @staticmethod
    def more_parameters() -> set[str]:
        """The other fields of PEFT's `LoraConfig`.

        Raises:
            MissingExtraError: PEFT isn't installed.
        """
        try:
            from peft import LoraConfig
        except ImportError as error:
            raise MissingExtraError("an adapter", "train", "peft") from error
        ours = {"task_type", "r", "lora_alpha", "lora_dropout", "target_modules"}
        return set(inspect.signature(LoraConfig).parameters) - ours

    @property
    def keeps_base(self) -> bool:
        """Whether the weights underneath stay as they came: unless the mode is ``merge``."""
        return not self.merges

    @property
    def starts_fresh(self) -> bool:
        """Whether each stage begins on the model as it came."""
        return self.mode == "fresh"

    @property
    def merges(self) -> bool:
        """Whether what a stage learned is added into the weights at its end."""
        return self.mode == "merge"

    def wrap(self, model: Any, base_name: str, stage: int = 1) -> Any:
        """`model` with a new adapter on it, float32 whatever the model's own format.

        Raises:
            ModelError: The layers asked for aren't there, or PEFT refuses the settings.
        """
        from peft import LoraConfig, get_peft_model

        # The part of an image-text model that sees stays as it is.
        unchanged = {"exclude_modules": sees} if (sees := sight(model)) else {}
        try:
            config = LoraConfig(
                task_type="CAUSAL_LM",
                r=self.r,
                lora_alpha=self.alpha,
                lora_dropout=self.dropout,
                target_modules=self.target_modules,
                **{**unchanged, **self.more},
            )
            wrapped = get_peft_model(model, config)
        except (TypeError, ValueError) as error:
            raise ModelError(f"no adapter fits {base_name}: {' '.join(str(error).split())}") from error
        wrapped.peft_config["default"].base_model_name_or_path = base_name
        return wrapped

    def callbacks(self) -> list[Any]:
        """None: gradient descent is all that it takes."""
        return []

    def to_json(self) -> dict[str, Any]:
        """As in a configuration."""
        ours = {"r": self.r, "alpha": self.alpha, "dropout": self.dropout, "target_modules": self.target_modules}
        return {"kind": "lora", **ours, "mode": self.mode, **self.more}
