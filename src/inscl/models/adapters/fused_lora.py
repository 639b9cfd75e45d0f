r"""LoRA's forward and backward pass as one operation, on a CPU.

PEFT composes each adapted layer of six: two products, a scaling, a sum, and conversions where the precision is mixed.
Each writes all its rows to memory and keeps them for the backward pass. Here the small products are added into the
large one where it lies:

.. math:: y = x W^\top + s\,(x A^\top) B^\top, \qquad
    \nabla_x = g W + s\,(g B) A, \quad \nabla_A = s\,(g B)^\top x, \quad \nabla_B = s\,g^\top (x A^\top)

with s = alpha / r (Hu et al. 2022, arXiv:2106.09685). Values and gradients are PEFT's but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["fused_lora"]


@contextmanager
def fused_lora(model: Any, frozen: bool = False) -> Iterator[None]:
    """Within this block the LoRA layers of `model` that allow it are computed as above; afterwards as before.

    If `frozen`, nobody changes the adapter within the block: without gradients it is converted only once.

    Layers with dropout, with another variant than plain LoRA (DoRA), with hooks, or with weights beneath that are
    trained too stay PEFT's, and so does everything off the CPU.
    """
    changed = [module for module in model.modules() if _allows(module)]
    for module in changed:
        module.forward = _forward(module, module.active_adapters[0], frozen)
    try:
        yield
    finally:
        for module in changed:
            vars(module).pop("forward", None)


def _allows(module: Any) -> bool:
    try:
        from peft.tuners.lora import Linear
    except ImportError:  # without PEFT there is no such layer
        return False
    from torch import nn

    if type(module) is not Linear or "forward" in vars(module) or len(module.active_adapters) != 1:
        return False
    name, base = module.active_adapters[0], module.base_layer
    if name not in module.lora_A or name in module.lora_variant or module.merged or type(base) is not nn.Linear:
        return False
    down, up, dropout = module.lora_A[name], module.lora_B[name], module.lora_dropout[name]
    parts = (base, down, up, dropout)
    plain = not any(one._forward_hooks or one._forward_pre_hooks or one._backward_hooks for one in parts)
    frozen = not any(weight.requires_grad for weight in base.parameters())
    return (
        isinstance(dropout, nn.Identity)
        and down.bias is None
        and up.bias is None
        and plain
        and frozen
        and base.weight.device.type == "cpu"
    )


def _forward(module: Any, name: str, frozen: bool) -> Any:
    """What takes the place of a layer's `forward`."""
    import torch

    original, base = module.forward, module.base_layer
    down, up, scale = module.lora_A[name], module.lora_B[name], module.scaling[name]
    converted: list[Any] = []

    def forward(x: Any, *arguments: Any, **settings: Any) -> Any:
        mixed = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if mixed else x.dtype
        adapted = not (module.disable_adapters or module.merged) and module.active_adapters == [name]
        if arguments or settings or not adapted or base.weight.dtype != dtype:
            return original(x, *arguments, **settings)
        if torch.is_grad_enabled():
            return _operation().apply(x, base.weight, base.bias, down.weight, up.weight, scale)
        if not (frozen and converted):
            converted[:] = [down.weight.to(dtype), up.weight.to(dtype)]
        narrow_down, narrow_up = converted
        rows = x.reshape(-1, x.shape[-1]).to(dtype)
        found, _ = _adapted(rows, base.weight, base.bias, narrow_down, narrow_up, scale)
        return found.view(*x.shape[:-1], -1)

    return forward


def _adapted(rows: Any, weight: Any, bias: Any, down: Any, up: Any, scale: float) -> tuple[Any, Any]:
    """What a layer makes of `rows`, all of one precision, and what lies between its small products."""
    import torch

    inner = rows @ down.t()
    found = torch.nn.functional.linear(rows, weight, bias)
    return found.addmm_(inner, up.t(), alpha=scale), inner


@cache
def _operation() -> Any:
    """The operation; made at the first use, since torch is imported lazily."""
    import torch

    class Adapted(torch.autograd.Function):  # type: ignore[misc, unused-ignore] # torch is untyped where it is absent
        @staticmethod
        def forward(context: Any, x: Any, weight: Any, bias: Any, down: Any, up: Any, scale: float) -> Any:
            rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
            narrow_down, narrow_up = down.to(weight.dtype), up.to(weight.dtype)
            found, inner = _adapted(rows, weight, bias, narrow_down, narrow_up, scale)
            context.save_for_backward(rows, weight, narrow_down, narrow_up, inner)
            context.scale, context.shape, context.dtypes = scale, x.shape, (x.dtype, down.dtype, up.dtype)
            return found.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            rows, weight, down, up, inner = context.saved_tensors
            of_x, of_down, of_up = context.dtypes
            gradient = gradient.reshape(-1, gradient.shape[-1]).to(weight.dtype)
            back = gradient @ up
            back *= context.scale
            before = None
            if context.needs_input_grad[0]:
                before = (gradient @ weight).addmm_(back, down).view(context.shape).to(of_x)
            taught_down = (back.t() @ rows).to(of_down)
            taught_up = (gradient.t() @ inner).mul_(context.scale).to(of_up)
            return before, None, None, taught_down, taught_up, None

    return Adapted
