from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from inscl.models.adapters.fused_lora import fused_lora
from inscl.models.adapters.lora import LoRA


def adapted(tiny_model: Path, dtype: Any = None, **settings: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    bare = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=dtype or torch.float32)
    torch.manual_seed(0)
    model = LoRA(r=4, alpha=12, **settings).wrap(bare, "tiny")
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def fused(model: Any) -> list[Any]:
    return [module for module in model.modules() if "forward" in vars(module)]


def taught(model: Any, mixed: bool = False) -> tuple[Any, dict[str, Any]]:
    """Logits and gradients of one pass."""
    import torch

    model.zero_grad()
    ids = torch.arange(3, 27).view(2, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16) if mixed else nullcontext():
        logits = model(input_ids=ids).logits
        torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), ids + 1).backward()
    return logits.detach(), {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


def test_values_and_gradients_are_those_of_peft(tiny_model: Path) -> None:
    import torch

    model = adapted(tiny_model)
    expected, gradients = taught(model)
    with fused_lora(model):
        assert len(fused(model)) == sum(name.endswith("lora_A.default.weight") for name in gradients) > 0
        found, ours = taught(model)
    torch.testing.assert_close(found, expected)
    assert ours.keys() == gradients.keys()
    torch.testing.assert_close(ours, gradients, rtol=1e-4, atol=1e-6)
    assert not fused(model)


def test_gradients_are_those_of_finite_differences(tiny_model: Path) -> None:
    import torch

    model = adapted(tiny_model).double()
    layer = next(module for module in model.modules() if hasattr(module, "lora_A") and hasattr(module, "base_layer"))
    x = torch.randn(3, layer.in_features, dtype=torch.double, requires_grad=True)
    with fused_lora(model):
        assert torch.autograd.gradcheck(layer, (x,))


def test_mixed_precision_is_no_further_from_float32_than_pefts(tiny_model: Path) -> None:
    import torch

    exact, _ = taught(adapted(tiny_model))
    model = adapted(tiny_model, torch.bfloat16)
    theirs, gradients = taught(model, mixed=True)
    with fused_lora(model):
        assert fused(model)
        ours, own = taught(model, mixed=True)
    assert (ours - exact).abs().mean() < 1.2 * (theirs - exact).abs().mean()
    assert ours.dtype == theirs.dtype
    for name, gradient in gradients.items():
        assert own[name].dtype == gradient.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(own[name].flatten(), gradient.flatten(), 0) > 0.99, name


@pytest.mark.parametrize("mixed", [False, True])
def test_reading_gives_what_teaching_gives_and_frozen_reading_too(tiny_model: Path, mixed: bool) -> None:
    import torch

    model = adapted(tiny_model, torch.bfloat16 if mixed else None)
    ids = torch.arange(3, 15)[None]
    with torch.autocast("cpu", dtype=torch.bfloat16) if mixed else nullcontext():
        with fused_lora(model):
            expected = model(input_ids=ids).logits
        with fused_lora(model, frozen=True), torch.inference_mode():
            assert fused(model)
            for _ in range(2):
                assert torch.equal(model(input_ids=ids).logits, expected)


def test_an_adapter_that_changes_is_read_as_it_is_now(tiny_model: Path) -> None:
    import torch

    model = adapted(tiny_model)
    ids = torch.arange(3, 15)[None]
    with fused_lora(model), torch.no_grad():
        before = model(input_ids=ids).logits
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(2)
        after = model(input_ids=ids).logits
    assert not torch.allclose(before, after)
    with torch.no_grad():
        torch.testing.assert_close(after, model(input_ids=ids).logits)


def off(model: Any) -> Any:
    return model.disable_adapter()


def test_an_adapter_that_is_switched_off_is_off(tiny_model: Path) -> None:
    import torch

    model = adapted(tiny_model)
    ids = torch.arange(3, 15)[None]
    with torch.no_grad(), off(model):
        expected = model(input_ids=ids).logits
    with torch.no_grad(), fused_lora(model), off(model):
        assert torch.equal(model(input_ids=ids).logits, expected)


@pytest.fixture(params=["dropout", "dora", "hooked", "trained beneath", "merged"])
def unfit(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[Any]:
    settings = {"dropout": {"dropout": 0.1}, "dora": {"use_dora": True}}
    model = adapted(tiny_model, **settings.get(request.param, {}))
    layers = [module for module in model.modules() if hasattr(module, "lora_A") and hasattr(module, "base_layer")]
    for layer in layers:
        if request.param == "hooked":
            layer.lora_A["default"].register_forward_hook(lambda *_: None)
        if request.param == "trained beneath":
            layer.base_layer.weight.requires_grad_(True)
    if request.param == "merged":
        model.merge_adapter()
    return model


def test_layers_that_need_more_stay_pefts(unfit: Any) -> None:
    with fused_lora(unfit):
        assert not fused(unfit)


def test_an_error_leaves_the_layers_as_they_were(tiny_model: Path) -> None:
    model = adapted(tiny_model)
    with pytest.raises(KeyboardInterrupt), fused_lora(model):
        raise KeyboardInterrupt
    assert not fused(model)
