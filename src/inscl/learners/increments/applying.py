"""Adding increments to a frozen model, to each row of a batch its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inscl.errors import ModelError
from inscl.learners.increments.pool import Average, Chosen
from inscl.models.picture_tokens import decoder_of

if TYPE_CHECKING:
    import torch

__all__ = ["applied", "projections", "shapes"]

_ALWAYS = frozenset({"o_proj", "out_proj"})
_IN_ATTENTION = frozenset({"dense", "c_proj", "wo"})


def projections(model: Any) -> dict[str, Any]:
    """The output projections of attention, by the name of the module in the model as it came.

    Another learner of this process may have an adapter on the same weights; names and sizes don't depend on it. Of an
    image-text model they are those of the part that reads, by their names in it: what sees stays as it is.

    Raises:
        ModelError: None is known in this architecture.
    """
    reads = decoder_of(model)
    found = {}
    for name, module in reads.named_modules():
        parent, _, own = name.rpartition(".")
        if own in _ALWAYS or (own in _IN_ATTENTION and "att" in parent.rpartition(".")[2].lower()):
            found[name] = module
    if not found:
        raise ModelError(
            f"no output projection of attention is known in a {type(reads).__name__}: use the learner fine_tune"
        )
    return found


def shapes(model: Any) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of each of the `projections`."""
    found = {}
    for name, module in projections(model).items():
        first, second = module.weight.shape
        # GPT-2's Conv1D keeps its weights the other way round.
        found[name] = (second, first) if hasattr(module, "in_features") else (first, second)
    return found


@contextmanager
def applied(
    model: Any,
    down: Mapping[str, torch.Tensor],
    up: Mapping[str, torch.Tensor],
    chosen: Chosen,
    contextual: list[tuple[Any, Average]],
) -> Iterator[None]:
    r"""The context in which row r of a batch is read with its own increment.

    .. math::
        y_r = W_0 x_r + \sum_m c_{rm} B_{i_{rm}} A_{i_{rm}} x_r + \sum_l w_l \bar z_l x_r

    The pairs of all rows are one grouped matrix product. Batches have one row for each row of `chosen`, in that order,
    so a row must hold one example: packed rows are not read here.

    Args:
        model: Frozen.
        down: Module -> all A, shape (N, R, inputs).
        up: Module -> all B, shape (N, outputs, R).
        chosen: Of n rows.
        contextual: Weights (numbers or tensors of no dimension), each with the average that it weighs.
    """
    handles = []
    try:
        for name, module in projections(model).items():
            device = module.weight.device
            places, shares = chosen.places.to(device), chosen.shares.to(device)
            first = down[name].to(device)[places].flatten(1, 2)
            scaled = up[name].to(device)[places] * shares[:, :, None, None]
            second = scaled.permute(0, 2, 1, 3).flatten(2)
            shared = [(weight, one.down[name].to(device), one.up[name].to(device)) for weight, one in contextual]
            handles.append(module.register_forward_hook(_adding(first, second, shared)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _adding(first: torch.Tensor, second: torch.Tensor, shared: list[tuple[Any, Any, Any]]) -> Callable[..., Any]:
    def add(_: Any, given: tuple[Any, ...], output: Any) -> Any:
        read = given[0].to(first.dtype)
        added = (read @ first.mT) @ second.mT
        for weight, down, up in shared:
            added = added + weight * ((read @ down.T) @ up.T)
        return output + added.to(output.dtype)

    return add
