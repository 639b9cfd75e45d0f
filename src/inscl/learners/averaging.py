r"""Averages of the weights over the steps of a stage: the stage ends on the average, not on its last step.

EMA with a weight that falls as the stage goes on, so that early steps are forgotten:

.. math:: \bar\theta_t = (1 - \beta_t)\,\bar\theta_{t-1} + \beta_t\,\theta_t, \qquad \beta_t = (l + t)^{-\kappa}

The average lags behind. BEMA (bias-corrected EMA, arXiv 2508.00180) adds a part of the way gone since the start:

.. math:: \tilde\theta_t = \bar\theta_t + \alpha_t\,(\theta_t - \theta_0), \qquad \alpha_t = (l + t)^{-\eta}

Both equations are a reconstruction, since that paper's full text wasn't at hand. What is averaged are the weights that
the stage trains. For LoRA these are its two factors, each by itself, whose product isn't the average of the products.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inscl.errors import ConfigError, Problem, nearest

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["KINDS", "Averaging", "trained_weights"]

KINDS = ("ema", "bema")
_FILE = "average.safetensors"


class Averaging:
    r"""The average of a stage's weights.

    Args:
        kind: ``ema`` or ``bema``.
        ema_power: :math:`\kappa`, above 0 and at most 1.
        bias_power: :math:`\eta`, above 0; only for ``bema``.
        lag: l, at least 1: how soon the average moves slowly.

    Raises:
        ConfigError: A value can't be.
    """

    def __init__(self, kind: str = "ema", ema_power: float = 0.5, bias_power: float = 0.2, lag: int = 10) -> None:
        ranges = (
            ("kind", kind in KINDS, f"no average {kind!r}{nearest(str(kind), KINDS)}"),
            ("ema_power", 0 < ema_power <= 1, f"must be above 0 and at most 1, got {ema_power!r}"),
            ("bias_power", 0 < bias_power < float("inf"), f"must be above 0, got {bias_power!r}"),
            ("lag", lag >= 1, f"must be at least 1, got {lag!r}"),
        )
        problems = [Problem(f"training.params.average.{key}", said) for key, good, said in ranges if not good]
        if problems:
            raise ConfigError(problems)
        self.kind, self.ema_power, self.bias_power, self.lag = kind, ema_power, bias_power, lag
        self._start: dict[str, Any] = {}
        self._mean: dict[str, Any] = {}

    def to_json(self) -> list[Any]:
        """What decides the average."""
        return [self.kind, self.ema_power, self.bias_power, self.lag]

    def begin(self, network: Any) -> None:
        """Begin a stage: the average starts from the weights as they are."""
        self._start = {name: weight.detach().clone() for name, weight in trained_weights(network).items()}
        self._mean = {name: weight.clone() for name, weight in self._start.items()}

    def callback(self) -> TrainerCallback:
        """Adds the weights after every optimiser step."""
        from transformers import TrainerCallback

        averaging = self

        class Adding(TrainerCallback):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
            def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
                averaging.add(model, state.global_step)

        return Adding()

    def add(self, network: Any, step: int) -> None:
        """Count the weights as they are after a step (from 1)."""
        beta = (self.lag + step) ** -self.ema_power
        for name, weight in trained_weights(network).items():
            self._mean[name].lerp_(weight.detach(), beta)

    def end(self, network: Any, step: int) -> None:
        """Put the average in place of the weights after the last step."""
        import torch

        alpha = (self.lag + step) ** -self.bias_power if self.kind == "bema" else 0.0
        with torch.no_grad():
            for name, weight in trained_weights(network).items():
                weight.copy_(self._mean[name] + alpha * (weight - self._start[name]))
        self._start, self._mean = {}, {}

    def keep(self, folder: Path) -> None:
        """Write the average so far beside a checkpoint."""
        from safetensors.torch import save_file

        save_file({name: weight.contiguous() for name, weight in self._mean.items()}, str(folder / _FILE))

    def take(self, folder: Path) -> None:
        """Go on from the average beside a checkpoint."""
        from safetensors.torch import load_file

        for name, weight in load_file(str(folder / _FILE)).items():
            self._mean[name].copy_(weight)


def trained_weights(network: Any) -> Mapping[str, Any]:
    """The weights of a model that are being trained, by name."""
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
