from __future__ import annotations

import json
from pathlib import Path

import pytest

from asking import NOTHING, losses, replaying, said
from inscl.contract import Example, Question, Task
from inscl.contract.example import Image, Turn
from inscl.errors import ConfigError, DataError, ModelError
from inscl.learners import FineTune
from inscl.learners.fine_tune import BATCHINGS
from inscl.models.prompts import FORMS


def task(name: str, word: str, count: int = 6) -> Task:
    train = tuple(
        Example(f"Say {word}", "please " * (1 + i % 3) + str(i), (f"{word}{i % 2}",), name) for i in range(count)
    )
    return Task(name, train, train[:2])


FIRST, SECOND = task("first", "red"), task("second", "blue", 4)
ADAPTERS = {
    "keep": {"r": 4},
    "merge": {"r": 4, "mode": "merge"},
    "fresh": {"r": 4, "mode": "fresh"},
    "osf": {"kind": "osf"},
    "full": None,
}


class Heard:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.told: list[tuple] = []

    def phase(self, name, total):
        self.told.append((name, total))

    def advance(self, done, **facts):
        self.told.append((done, *sorted(facts)))

    def note(self, message):
        self.notes.append(message)


def learner(model: Path, **settings) -> FineTune:
    settings = {"precision": "fp32", "learning_rate": 1e-2, "batch_size": 4, "seed": 3, **settings}
    return FineTune(str(model), **settings)


def saved(taught: FineTune, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    taught.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def weights(taught: FineTune) -> list:
    return [parameter.detach().clone() for parameter in taught._weights.model.parameters()]


@pytest.mark.parametrize("batching", BATCHINGS)
def test_it_learns_and_says_what_it_took(tiny_model: Path, batching: str) -> None:
    heard = Heard()
    one = learner(tiny_model, batching=batching, epochs=3, progress=heard)
    replay = FIRST.train[:3]
    report = one.learn(SECOND, replaying(replay))
    assert (report.examples, report.replayed, report.steps) == (12, 9, 6)
    assert report.tokens == 3 * sum(one.count_tokens(example) for example in [*SECOND.train, *replay])
    assert report.replay_tokens == 3 * sum(one.count_tokens(example) for example in replay)
    assert report.answer_tokens == 3 * sum(len(example.output) + 1 for example in [*SECOND.train, *replay])
    assert report.truncated == 0
    assert [row["step"] for row in one.log] == list(range(1, 7))
    assert set(one.log[0]) == {"step", "loss", "learning_rate", "tokens", "seconds"}
    assert one.log[-1]["tokens"] == report.tokens
    assert one.log[-1]["loss"] < one.log[0]["loss"]
    assert heard.told[0] == ("train", 6)
    assert heard.told[-1] == (6, "loss", "tokens_per_second")
    assert heard.notes == []


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


def test_every_stage_trains_in_the_same_precision(tiny_model: Path, tmp_path: Path) -> None:
    """Under bf16 too: what Trainer leaves on a model must not change how the next stage computes."""
    undisturbed = learner(tiny_model, precision="bf16", adapter=ADAPTERS["keep"])
    undisturbed.learn(FIRST, NOTHING)
    (tmp_path / "state").mkdir()
    undisturbed.save(tmp_path / "state")
    undisturbed.learn(SECOND, replaying(FIRST.train[:2]))
    resumed = learner(tiny_model, precision="bf16", adapter=ADAPTERS["keep"])
    resumed.load(tmp_path / "state")
    resumed.learn(SECOND, replaying(FIRST.train[:2]))
    assert saved(undisturbed, tmp_path / "a") == saved(resumed, tmp_path / "b")


def test_losses_are_transformers_own(tiny_model: Path) -> None:
    import torch

    taught = learner(tiny_model)
    taught.learn(FIRST, NOTHING)
    for example, loss in zip(SECOND.train, losses(taught, SECOND.train), strict=True):
        encoded = taught.encoder.encode(example)
        labels = [-100] * encoded.prompt_length + encoded.tokens[encoded.prompt_length :]
        with torch.no_grad():
            expected = taught._weights.model(torch.tensor([encoded.tokens]), labels=torch.tensor([labels])).loss
        assert loss == pytest.approx(float(expected), rel=1e-5)


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


def test_training_is_left_as_it_was_found(tiny_model: Path) -> None:
    one = learner(tiny_model, precision="bf16")
    for _ in range(3):
        one.learn(FIRST, NOTHING)
    model = one._weights.model
    assert not {"forward", "_original_forward"} & set(vars(model))
    assert model.config._attn_implementation == "sdpa"
    assert model.config.use_cache


def test_batching_changes_speed_and_not_what_is_learned(tiny_model: Path) -> None:
    found = {}
    for batching in ("pack", "random"):
        one = learner(tiny_model, batching=batching)
        found[batching] = [one.learn(FIRST, NOTHING).loss, *(row["loss"] for row in one.log)]
    assert found["pack"] == pytest.approx(found["random"], rel=1e-3)


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


def test_a_long_prompt_is_counted_and_said(tiny_model: Path) -> None:
    heard = Heard()
    one = learner(tiny_model, max_length=64, progress=heard)
    long = Task("long", (*FIRST.train, Example("x" * 200, "", ("yes",))))
    assert one.learn(long, NOTHING).truncated == 1
    assert heard.notes == ["1 of 7 prompts shortened to fit max_length 64"]
    assert len(said(one, ["y" * 200], 4)) == 1
    assert "shortened to 60 tokens" in heard.notes[-1]


def test_a_damaged_model_is_said_in_one_line(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_model, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"can't load the model in .*damaged") as caught:
        said(learner(tmp_path / "damaged"), ["x"])
    assert "\n" not in str(caught.value)


def test_there_must_be_something_to_learn(tiny_model: Path) -> None:
    with pytest.raises(DataError, match="'empty' has no train examples"):
        learner(tiny_model).learn(Task("empty", ()), NOTHING)


def test_one_example_is_enough(tiny_model: Path) -> None:
    assert learner(tiny_model).learn(Task("one", FIRST.train[:1]), NOTHING).examples == 2


def test_no_prompts_no_answers(tiny_model: Path) -> None:
    assert said(learner(tiny_model), []) == []


def test_training_that_diverges_says_so(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="lower learning_rate"):
        learner(tiny_model, adapter=None, learning_rate=1e30, epochs=8, hf_args={"max_grad_norm": 0}).learn(
            FIRST, NOTHING
        )


def test_hf_args_win_and_reach_transformers(tiny_model: Path, tmp_path: Path) -> None:
    one = learner(tiny_model, hf_args={"max_steps": 2, "gradient_accumulation_steps": 2, "learning_rate": 5e-4})
    report = one.learn(FIRST, NOTHING)
    assert report.steps == 2
    assert max(row["learning_rate"] for row in one.log) <= 5e-4


def test_trackers_write_where_they_are_told(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    learner(tiny_model, hf_args={"report_to": "tensorboard"}, log_dir=tmp_path).learn(FIRST, NOTHING)
    assert list((tmp_path / "stage-01").rglob("events.out.tfevents*"))


def test_callbacks_are_transformers_own(tiny_model: Path) -> None:
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = True

    assert learner(tiny_model, callbacks=[Stop()]).learn(FIRST, NOTHING).steps == 1


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
    with pytest.raises(ConfigError, match=r"adapter\.rank.*unknown"):
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
    one = FineTune(str(smollm2), epochs=30, batch_size=4)
    one.learn(Task("codes", train), NOTHING)
    assert said(one, [example.prompt for example in train], 8) == codes
    saved(one, tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "adapter_config.json").read_text())["r"] == 16
    other = FineTune(str(smollm2))
    other.load(tmp_path / "saved")
    assert said(other, [example.prompt for example in train], 8) == codes


TALK = (Turn("system", "Be brief"), Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "Say red"))
QUESTIONS = [
    Question("Say red", "please", options=("red0", "red", "blue", "r")),
    Question("Be brief", "Say red", turns=TALK, options=("no", "yes, and at some length")),
]


@pytest.mark.parametrize("prompt", FORMS)
@pytest.mark.parametrize("taught", [False, True], ids=["base", "adapted"])
def test_likelihoods_are_those_of_a_plain_forward_pass(tiny_model: Path, prompt: str, taught: bool) -> None:
    import torch
    from transformers import AutoTokenizer

    one = learner(tiny_model, prompt=prompt)
    if taught:
        one.learn(FIRST, NOTHING)
    network, tokenizer = one._weights.model.eval(), AutoTokenizer.from_pretrained(tiny_model)
    pairs = [(question, option) for question in QUESTIONS for option in question.options]
    found = one.log_likelihoods([question for question, _ in pairs], [answer for _, answer in pairs])
    for (question, answer), likelihood in zip(pairs, found, strict=True):
        messages = [{"role": turn.role, "content": turn.content} for turn in question.conversation]
        if prompt == "chat":
            before = list(tokenizer.apply_chat_template(messages, add_generation_prompt=True).input_ids)
        else:
            before = tokenizer("".join(f"{message['content']}\n\n" for message in messages)).input_ids
        after = [*tokenizer(answer).input_ids, tokenizer.eos_token_id]
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([before + after])).logits[0].double().log_softmax(-1)
        nats = [float(logits[len(before) + k - 1, token]) for k, token in enumerate(after)]
        assert likelihood.tokens == len(after)
        assert likelihood.nats == pytest.approx(sum(nats), abs=1e-4 * len(after))


@pytest.mark.parametrize("normalise", [True, False])
def test_choosing_is_comparing_likelihoods(tiny_model: Path, normalise: bool) -> None:
    import numpy as np

    one = learner(tiny_model)
    for question, chosen in zip(QUESTIONS, one.choose(QUESTIONS, normalise=normalise), strict=True):
        found = [one.log_likelihoods([question], [option])[0] for option in question.options]
        scores = np.array([row.nats / row.tokens if normalise else row.nats for row in found])
        np.testing.assert_allclose(
            chosen, scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max(), atol=1e-4
        )


def test_there_must_be_options_and_no_images(tiny_model: Path) -> None:
    one = learner(tiny_model)
    with pytest.raises(DataError, match="'Say red' has no options"):
        one.choose([*QUESTIONS, Question("Say red")])
    with pytest.raises(DataError, match=r"y{40}.*too many for max_length 60"):
        learner(tiny_model, max_length=60).choose([Question("Say red", options=("no", "y" * 60))])
    seen = Question("What is this?", images=(Image("cat.png"),), options=("a cat",))
    for ask in (one.answer, one.choose, lambda asked: one.log_likelihoods(asked, ["a cat"])):
        with pytest.raises(DataError, match=r"'What is this\?' has images"):
            ask([seen])


def test_a_conversation_is_answered_whole_and_a_long_one_is_told(tiny_model: Path) -> None:
    heard = Heard()
    one = learner(tiny_model, max_length=70, progress=heard)
    one.answer([Question("Be brief", "Say red", turns=TALK)], 4)
    assert heard.notes == [
        "1 of 1 prompts shortened to 66 tokens before answering, 1 of them by leaving out their oldest turns"
    ]
