from __future__ import annotations

import json
from pathlib import Path

import pytest

from asking import NOTHING, replaying, said
from inscl.contract import Example, Question, Task
from inscl.errors import ConfigError, DataError, ModelError
from inscl.learners import FineTune
from learners.taught import ADAPTERS, FIRST, SECOND, learner, saved


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_what_it_was_taught_it_answers(tiny_model: Path, adapter) -> None:
    strong = {**adapter, "r": 16} if adapter and "kind" not in adapter else adapter
    one = learner(tiny_model, adapter=strong, epochs=40, learning_rate=1e-2)
    before = said(one, ["Say red"], 4)
    colour = Task("colour", tuple(Example("Say red", "", ("ok",)) for _ in range(4)))
    one.learn(colour, NOTHING)
    assert before != ["ok"]
    assert said(one, ["Say red", "Say red"], 8) == ["ok", "ok"]


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tiny_model: Path, tmp_path: Path, adapter) -> None:
    folders = []
    for number, seed in enumerate((3, 3, 4)):
        one = learner(tiny_model, adapter=adapter, seed=seed)
        one.learn(FIRST, NOTHING)
        folders.append(saved(one, tmp_path / str(number)))
    assert folders[0] == folders[1]
    assert folders[0] != folders[2]


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_going_on_from_disk_is_going_on_in_memory(tiny_model: Path, tmp_path: Path, adapter) -> None:
    straight = learner(tiny_model, adapter=adapter)
    straight.learn(FIRST, NOTHING)
    before = saved(straight, tmp_path / "first")
    resumed = learner(tiny_model, adapter=adapter)
    resumed.load(tmp_path / "first")
    assert saved(resumed, tmp_path / "again") == before
    prompts = [example.prompt for example in FIRST.train]
    assert said(resumed, prompts, 8) == said(straight, prompts, 8)
    report = straight.learn(SECOND, replaying(FIRST.train[:2]))
    assert resumed.learn(SECOND, replaying(FIRST.train[:2])).loss == report.loss
    assert saved(resumed, tmp_path / "resumed") == saved(straight, tmp_path / "straight")
    assert (resumed.stage, straight.stage) == (2, 2)


def test_a_stage_of_one_step_learns(tiny_model: Path) -> None:
    """Its step isn't spent on a warm-up, which begins with a rate of 0."""
    one = learner(tiny_model, epochs=1, batch_size=len(FIRST.train))
    questions, answers = list(map(Question.of, FIRST.train)), [row.output for row in FIRST.train]
    before = sum(found.loss for found in one.log_likelihoods(questions, answers))
    assert one.learn(FIRST, NOTHING).steps == 1
    assert one.log[0]["learning_rate"] > 0
    assert sum(found.loss for found in one.log_likelihoods(questions, answers)) < before


def test_there_must_be_something_to_learn(tiny_model: Path) -> None:
    with pytest.raises(DataError, match="'empty' has no train examples"):
        learner(tiny_model).learn(Task("empty", ()), NOTHING)


def test_every_mistake_is_told_at_once(tiny_model: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        learner(tiny_model, prompt="chatt", batching="sack", epochs=0, hf_args={"warmup_step": 3, "seed": 1})
    keys = {problem.key for problem in caught.value.problems}
    assert keys == {
        "model.prompt",
        "training.batching",
        "training.epochs",
        "training.hf_args.warmup_step",
        "training.hf_args.seed",
    }
    assert "did you mean 'warmup_steps'?)" in str(caught.value)
    with pytest.raises(ConfigError, match=r"adapter\.rank.*no such parameter"):
        learner(tiny_model, adapter={"rank": 3})
    with pytest.raises(ConfigError, match=r"adapter\.mode.*'merge'"):
        learner(tiny_model, adapter={"mode": "merged"})


def test_any_field_of_lora_config_goes_through(tiny_model: Path) -> None:
    one = learner(tiny_model, adapter={"r": 4, "use_rslora": True, "target_modules": ["q_proj"]})
    one.learn(FIRST, NOTHING)
    assert one._weights.model.peft_config["default"].use_rslora
    with pytest.raises(ModelError, match="no adapter fits"):
        learner(tiny_model, adapter={"target_modules": ["nothing"]}).learn(FIRST, NOTHING)


@pytest.mark.parametrize("architecture", ["gpt2", "bloom"])
def test_other_architectures(tiny_model: Path, tmp_path: Path, architecture: str) -> None:
    """Absolute positions, and none at all: padding may not shift the first, nor be passed to the second."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    sizes = {"n_embd": 32, "hidden_size": 32, "n_layer": 1, "n_head": 2}
    config = AutoConfig.for_model(
        architecture, vocab_size=259, bos_token_id=1, eos_token_id=2, pad_token_id=None, **sizes
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    together, alone = learner(tmp_path, adapter=None), learner(tmp_path, adapter=None, generation_batch_size=1)
    for one in (together, alone):
        assert one.learn(FIRST, NOTHING).loss > 0
    prompts = [example.prompt for example in FIRST.train]
    assert said(together, prompts, 6) == said(alone, prompts, 6)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        said(FineTune(str(tmp_path / "nowhere")), ["x"])


def test_a_damaged_model_is_said_in_one_line(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_model, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"can't load the model in .*damaged") as caught:
        said(learner(tmp_path / "damaged"), ["x"])
    assert "\n" not in str(caught.value)


def test_importing_it_leaves_torch_alone() -> None:
    import subprocess
    import sys

    program = "import sys, inscl.learners, inscl.evaluation; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.real_model
def test_smollm2_learns_a_code(smollm2: Path, tmp_path: Path) -> None:
    messages = ["My order is late", "I was charged twice", "The app crashes", "Where is my parcel"]
    codes = ["ORD-7", "PAY-3", "TEC-9", "ORD-7"]
    train = tuple(Example("Give the team code.", m, (c,), "codes") for m, c in zip(messages, codes, strict=True))
    one = FineTune(str(smollm2), epochs=8, learning_rate=2e-3, batch_size=4, batching="pack")
    one.learn(Task("codes", train), NOTHING)
    assert said(one, [example.prompt for example in train], 8) == codes
    saved(one, tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "adapter_config.json").read_text())["r"] == 16
    other = FineTune(str(smollm2))
    other.load(tmp_path / "saved")
    assert said(other, [example.prompt for example in train], 8) == codes
