from __future__ import annotations

from pathlib import Path

import pytest

from asking import NOTHING, said
from inscl.errors import ModelError
from learners.taught import ADAPTERS, FIRST, SECOND, learner, saved, weights


def test_before_the_first_stage_there_is_a_state_too(tiny_model: Path, tmp_path: Path) -> None:
    one = learner(tiny_model)
    one.save(tmp_path)
    two = learner(tiny_model)
    two.learn(FIRST, NOTHING)
    two.load(tmp_path)
    assert two.stage == 0
    assert said(two, ["Say red"], 8) == said(one, ["Say red"], 8)


def test_modes_do_what_they_say(tiny_model: Path) -> None:
    import torch

    base = weights(learner(tiny_model))
    fresh = learner(tiny_model, adapter=ADAPTERS["fresh"])
    fresh.learn(FIRST, NOTHING)
    fresh.learn(SECOND, NOTHING)
    alone = learner(tiny_model, adapter=ADAPTERS["fresh"])
    alone.stage = 1
    alone.learn(SECOND, NOTHING)
    assert all(map(torch.equal, weights(fresh), weights(alone)))
    merged = learner(tiny_model, adapter=ADAPTERS["merge"])
    merged.learn(FIRST, NOTHING)
    assert not hasattr(merged._weights.model, "peft_config")
    assert len(weights(merged)) == len(base)
    assert not all(map(torch.equal, weights(merged), base))
    kept = learner(tiny_model)
    kept.learn(FIRST, NOTHING)
    unadapted = kept._weights.model.unload()
    assert all(map(torch.equal, [parameter.detach() for parameter in unadapted.parameters()], base))


def test_merging_changes_no_answer(tiny_model: Path) -> None:
    import torch

    tokens = torch.tensor([[5, 6, 7, 8]])
    logits = []
    for mode in ("keep", "merge"):
        one = learner(tiny_model, adapter={"r": 4, "mode": mode})
        one.learn(FIRST, NOTHING)
        with torch.no_grad():
            logits.append(one._weights.model.eval()(input_ids=tokens).logits)
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)


def test_what_it_trains_is_float32_over_a_bf16_base(tiny_model: Path) -> None:
    import torch

    one = learner(tiny_model, precision="bf16")
    one.learn(FIRST, NOTHING)
    formats = {parameter.requires_grad: parameter.dtype for parameter in one._weights.model.parameters()}
    assert formats == {True: torch.float32, False: torch.bfloat16}
    full = learner(tiny_model, precision="bf16", adapter=None)
    full.learn(FIRST, NOTHING)
    assert {parameter.dtype for parameter in full._weights.model.parameters()} == {torch.float32}
    assert said(one, ["Say red"], 4) is not None


def test_an_adapter_is_what_peft_reads(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    one = learner(tiny_model)
    one.learn(FIRST, NOTHING)
    names = set(saved(one, tmp_path / "saved"))
    assert names == {"adapter_config.json", "adapter_model.safetensors", "learner.json"}
    other = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), tmp_path / "saved")
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        expected = one._weights.model.eval()(input_ids=tokens).logits
        torch.testing.assert_close(other.eval()(input_ids=tokens).logits, expected)


def test_a_full_model_is_what_transformers_reads(tiny_model: Path, tmp_path: Path) -> None:
    one = learner(tiny_model, adapter=None)
    one.learn(FIRST, NOTHING)
    assert not [name for name in saved(one, tmp_path / "saved") if name.endswith((".bin", ".pt", ".pkl"))]
    again = learner(tmp_path / "saved", adapter=None)
    assert said(again, ["Say red"], 6) == said(one, ["Say red"], 6)


def test_a_state_of_something_else_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    one = learner(tiny_model)
    one.learn(FIRST, NOTHING)
    saved(one, tmp_path / "saved")
    with pytest.raises(ModelError, match="another adapter"):
        learner(tiny_model, adapter={"r": 8}).load(tmp_path / "saved")
    with pytest.raises(ModelError, match=r"learner\.json is missing"):
        learner(tiny_model).load(tmp_path)
    (tmp_path / "saved" / "adapter_model.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match="can't load the adapter"):
        learner(tiny_model).load(tmp_path / "saved")
