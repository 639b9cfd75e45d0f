"""What goes together with weights in shards; training with them is in tests/engine/test_processes.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asking import NOTHING
from inscl.contract import Question
from inscl.errors import ConfigError
from inscl.learners.fine_tune import FineTune
from inscl.learners.sharding import Sharding, sharded_training, sharding_problems
from learners.taught import FIRST, learner


def refused(tiny_model: Path, **settings: Any) -> set[str]:
    given = {"adapter": None, "hf_args": {"fsdp": True}, **settings}
    with pytest.raises(ConfigError) as caught:
        FineTune(str(tiny_model), **given)
    assert {problem.key for problem in caught.value.problems} == {"training.hf_args.fsdp"}
    return {problem.message.split(" doesn't")[0] for problem in caught.value.problems}


def test_all_that_needs_whole_weights_is_refused_at_once(tiny_model: Path) -> None:
    found = refused(tiny_model, adapter={"kind": "lora"}, average="ema", step_back=0.5, restarts=1, objective="distil")
    params = {f"training.params.{name}" for name in ("average", "step_back", "restarts")}
    assert found == {"model.adapter", "training.objective", *params}


def test_the_launcher_asks_for_shards_as_well(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sharded_training({"fsdp": None})
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert sharded_training({})
    assert refused(tiny_model, adapter={"kind": "lora"}, hf_args={}) == {"model.adapter"}
    FineTune(str(tiny_model), adapter=None)


def test_one_process_has_nobody_to_share_with_but_may_ask(tiny_model: Path) -> None:
    alone = learner(tiny_model, adapter=None, hf_args={"fsdp": True})
    assert len(alone.log_likelihoods([Question("What?")], ["This."])) == 1
    with pytest.raises(ConfigError, match="torchrun or accelerate"):
        alone.learn(FIRST, NOTHING)


@pytest.mark.parametrize(
    ("config", "said"),
    [({"version": 1}, "use 2"), ({"fsdp_version": "1"}, "use 2"), ({"xla": True}, "leave it out"), ("a.json", "path")],
)
def test_settings_of_other_shards_are_refused(config: Any, said: str) -> None:
    assert not sharding_problems({"fsdp": True, "fsdp_config": {"version": 2, "cpu_offload": False}}, [])
    assert not sharding_problems({"fsdp_config": config}, [])
    (problem,) = sharding_problems({"fsdp": True, "fsdp_config": config}, [])
    assert problem.key == "training.hf_args.fsdp_config"
    assert said in problem.message


def test_the_copy_that_is_sharded_takes_no_memory_and_gives_its_weights_back(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    shards = Sharding(network, bf16=False)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    for name, weight in shards.copy.named_parameters():
        assert weight is network.get_parameter(name)
    assert shards.copy.lm_head.weight is shards.copy.get_input_embeddings().weight
    for module in shards.copy.modules():  # as accelerate puts others in their place
        for name, own in list(module.named_parameters(recurse=False)):
            module.register_parameter(name, torch.nn.Parameter(own.detach() + 1))
    shards.copy.tie_weights()
    shards.callback().on_train_begin(None, None, None)
    assert sum(weight.numel() for weight in network.parameters()) == 0
    shards.gather()
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight, before[name] + 1)
    assert network.lm_head.weight is network.get_input_embeddings().weight
