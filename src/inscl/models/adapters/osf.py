"""Orthogonal Subspace Fine-tuning with PEFT, from task to task: what is protected, and how it stays protected.

Each weight matrix is split by its singular values, :math:`W = U_h S_h V_h^T + U_l S_l V_l^T`. The large ones stay as
they are; the small ones are trained. PEFT projects the gradients of :math:`U_l` and :math:`V_l` so that they are
orthogonal to :math:`U_h` and :math:`V_h` (Nayak et al. 2025, arXiv:2504.07097). A step of AdamW isn't: it scales each
number by itself, which turns a projected gradient out of its subspace. So here the factors are projected once more
after each step, unless that is switched off: then :math:`W V_h = U_h S_h` and :math:`U_h^T W = S_h V_h^T` whatever is
learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inscl.errors import ConfigError, ModelError, Problem

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["MOST_PROTECTED", "OSF", "holding", "osf_config", "project", "protected_rank", "refuse_frozen"]

MOST_PROTECTED = 0.95
"""The share of directions at which a growing share stops, so that there is still something to train."""


class OSF:
    """Orthogonal Subspace Fine-tuning (Nayak et al. 2025, arXiv:2504.07097), from task to task.

    It always adds what a stage learned into the weights and decomposes them anew, so that the next stage protects the
    strongest directions of what the model knows by then, as PEFT's documentation does.

    Args:
        effective_rank: Directions of each weight matrix that the first stage protects, those of the largest singular
            values; a whole number, or a share below 1 of the smaller side.
        rank_step: What each later stage adds to it.
        hold: Whether the trained factors are projected after each step too; PEFT projects gradients alone, which AdamW
            undoes in part.
        target_modules: Which modules are decomposed, as PEFT names them.

    Raises:
        ConfigError: Values that can't be; all of them at once.
    """

    keeps_base = False
    starts_fresh = False
    merges = True

    def __init__(
        self,
        effective_rank: float = 0.5,
        rank_step: float = 0,
        hold: bool = True,
        target_modules: str | list[str] = "all-linear",
    ) -> None:
        problems = []
        whole = isinstance(effective_rank, int) and not isinstance(effective_rank, bool)
        if (not whole and not (isinstance(effective_rank, float) and 0 < effective_rank < 1)) or (
            whole and effective_rank < 1
        ):
            said = "must be a whole number of 1 or more, or a share between 0 and 1"
            problems.append(Problem("effective_rank", f"{said}, got {effective_rank!r}"))
        if isinstance(rank_step, bool) or not isinstance(rank_step, (int, float)) or rank_step < 0:
            problems.append(Problem("rank_step", f"must be 0 or more, got {rank_step!r}"))
        elif whole and rank_step != int(rank_step):
            problems.append(
                Problem("rank_step", f"must be a whole number where effective_rank is one, got {rank_step!r}")
            )
        if problems:
            raise ConfigError(problems, "adapter osf")
        self.effective_rank, self.rank_step, self.hold = effective_rank, rank_step, hold
        self.target_modules = target_modules

    def wrap(self, model: Any, base_name: str, stage: int = 1) -> Any:
        """`model` decomposed for a stage (from 1).

        Raises:
            ModelError: The layers asked for aren't there, or nothing would be left to train.
        """
        from peft import get_peft_model

        rank = protected_rank(self.effective_rank, self.rank_step, stage)
        try:
            wrapped = get_peft_model(model, osf_config(rank, self.target_modules))
        except ValueError as error:
            raise ModelError(f"no adapter fits {base_name}: {error}") from error
        refuse_frozen(wrapped, rank)
        wrapped.peft_config["default"].base_model_name_or_path = base_name
        return wrapped

    def callbacks(self) -> list[Any]:
        """What projects after each step, where `hold` says so."""
        return [holding()] if self.hold else []

    def to_json(self) -> dict[str, Any]:
        """As in a configuration."""
        ours = {"effective_rank": self.effective_rank, "rank_step": self.rank_step, "hold": self.hold}
        return {"kind": "osf", **ours, "target_modules": self.target_modules}


def protected_rank(effective_rank: float, rank_step: float, stage: int) -> float:
    """How many directions of each matrix stage `stage` (from 1) protects: a number, or a share if `effective_rank` is.

    Args:
        effective_rank: At the first stage; a whole number, or a share below 1.
        rank_step: What each later stage adds.
        stage: Which stage.
    """
    rank = effective_rank + rank_step * (stage - 1)
    return rank if isinstance(effective_rank, int) else min(rank, max(MOST_PROTECTED, effective_rank))


def osf_config(effective_rank: float, target_modules: str | list[str]) -> Any:
    """PEFT's `OSFConfig`."""
    from peft import OSFConfig

    return OSFConfig(task_type="CAUSAL_LM", effective_rank=effective_rank, target_modules=target_modules)


def refuse_frozen(model: Any, effective_rank: float) -> None:
    """See that something is left to train.

    Raises:
        ModelError: Every direction of every matrix is protected.
    """
    if not sum(weight.numel() for weight in model.parameters() if weight.requires_grad):
        raise ModelError(
            f"effective_rank {effective_rank:g} protects every direction of the model's matrices, so nothing can be "
            "learned: lower model.adapter.effective_rank or model.adapter.rank_step"
        )


def project(model: Any) -> None:
    """Take out of the trained factors whatever lies in the protected subspaces; in place."""
    import torch

    with torch.no_grad():
        for layer, name in _layers(model):
            factors = layer.osf_svd_params[name]
            left, right = factors["U_low"], factors["V_low"]
            # PEFT keeps a protected factor only where it can't be told from its complement, the first U_l or V_l.
            if name in layer._osf_U_high:
                protected = layer._osf_U_high[name]
                left -= protected @ (protected.T @ left)
            else:
                free = layer._osf_U_low_init[name]
                left.copy_(free @ (free.T @ left))
            if name in layer._osf_V_high:
                protected = layer._osf_V_high[name]
                right -= (right @ protected.T) @ protected
            else:
                free = layer._osf_V_low_init[name]
                right.copy_((right @ free.T) @ free)


def holding() -> TrainerCallback:
    """A callback of Trainer that projects after each step of the optimiser."""
    from transformers import TrainerCallback

    class Holding(TrainerCallback):  # type: ignore[misc, unused-ignore] # transformers is untyped where it's absent
        def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            project(model)

    return Holding()


def _layers(model: Any) -> Iterator[tuple[Any, str]]:
    """The model's OSF layers, each with the name of its adapter."""
    from peft.tuners.osf import OSFLayer

    for module in model.modules():
        if isinstance(module, OSFLayer):
            for name in module.osf_svd_params:
                yield module, name
