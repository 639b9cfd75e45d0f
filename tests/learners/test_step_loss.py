"""Rows taught on several threads, against the same rows taught on one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from asking import replaying
from inscl.contract.objective import ObjectiveBatch, TaughtExample
from inscl.errors import ModelError
from inscl.learners.step_loss import StepLoss
from inscl.models.batches import pack, pad
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.packed_attention import packed_attention
from inscl.models.prompts import Encoded
from learners.taught import ADAPTERS, FIRST, SECOND, learner, saved

EXAMPLES = [
    TaughtExample(Encoded([5, 6, 7, 8], 2)),
    TaughtExample(Encoded([9, 10, 11, 12, 13], 2), 0.5, True),
    TaughtExample(Encoded([14, 15, 16], 1)),
]
JOINS = {"pack": pack, "pad": lambda rows: pad(rows, 2)}


class Recording(AnswerObjective):
    """Cross entropy that remembers which thread asked, and for how many examples."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, batch: ObjectiveBatch) -> Any:
        self.asked.append((threading.get_ident(), len(batch.examples)))
        return super().__call__(batch)


class Undeclared(Recording):
    """The same, which doesn't say that its examples add up."""

    traits = None


@contextmanager
def threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def loaded(tiny_model: Path, dropout: float = 0.0) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    lora = LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_dropout=dropout, target_modules="all-linear", init_lora_weights=False
    )
    return get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora).train()


def step(
    model: Any,
    join: str,
    objective: Any,
    count: int,
    tokens: int | None = 20,
    batches: Sequence[Sequence[TaughtExample]] = (EXAMPLES,),
) -> tuple[Any, list[Any], Any]:
    """Loss, gradients and the counts of one step of some batches with so many threads."""

    def batch(examples: Sequence[TaughtExample]) -> dict[str, Any]:
        return {**JOINS[join]([example.encoded for example in examples]), "examples": list(examples)}

    model.zero_grad()
    loss = TrainingLoss(objective)
    found = []
    with threads(count):
        taught = StepLoss(loss, batch)
        for examples in batches:
            found.append(taught(model, batch(examples), tokens))
            (found[-1] * 3).backward()
    gradients = [weight.grad for weight in model.parameters() if weight.requires_grad]
    return sum(found).detach(), gradients, loss


def assert_same_step(model: Any, join: str, divided: bool = True, **settings: Any) -> None:
    """See that two threads find the loss, gradients and counts that one finds, and whether each had a part."""
    import torch

    objectives = Recording(), Recording()
    (whole, gradients, counted), (both, others, also_counted) = (
        step(model, join, objective, count, **settings) for count, objective in enumerate(objectives, 1)
    )
    torch.testing.assert_close(both, whole)
    for mine, theirs in zip(others, gradients, strict=True):
        if mine is None or theirs is None:  # a weight that no part of a batch has a use for
            assert mine is theirs is None
        else:
            assert bool(torch.isfinite(mine).all())
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
    assert also_counted.tokens == counted.tokens
    assert also_counted.total == pytest.approx(counted.total)
    assert (len(objectives[1].asked) > len(objectives[0].asked)) is divided


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("tokens", [20, None], ids=["of a longer step", "of this batch"])
def test_loss_and_gradients_are_those_of_the_undivided_batch(tiny_model: Path, join: str, tokens: int | None) -> None:
    import torch

    model = loaded(tiny_model)
    whole, gradients, counted = step(model, join, Recording(), 1, tokens)
    for count in (2, 8):
        objective = Recording()
        divided, others, also_counted = step(model, join, objective, count, tokens)
        assert len(objective.asked) == min(count, len(EXAMPLES))
        torch.testing.assert_close(divided, whole)
        torch.testing.assert_close(others, gradients, rtol=1e-3, atol=1e-5)
        assert also_counted.tokens == counted.tokens == 7
        assert also_counted.total == pytest.approx(counted.total)


def test_what_may_not_be_divided_is_taught_as_one(tiny_model: Path) -> None:
    def undivided(objective: Recording, model: Any) -> bool:
        step(model, "pack", objective, 2)
        return objective.asked == [(threading.get_ident(), len(EXAMPLES))]

    model = loaded(tiny_model)
    assert undivided(Undeclared(), model)
    assert undivided(Recording(), loaded(tiny_model, dropout=0.1))
    assert not undivided(Recording(), model)
    hook = model.get_output_embeddings().register_forward_hook(lambda *_: None)
    assert undivided(Recording(), model)
    hook.remove()
    model.get_base_model().gradient_checkpointing_enable()
    assert undivided(Recording(), model)


def test_looking_for_chance_leaves_chance_as_it_was(tiny_model: Path) -> None:
    import torch

    model = loaded(tiny_model, dropout=0.1)
    torch.manual_seed(5)
    step(model, "pack", Recording(), 1)
    expected = torch.rand(3)
    torch.manual_seed(5)
    step(model, "pack", Recording(), 2)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_on_several_threads_is_repeatable_and_the_same_but_for_rounding(
    tiny_model: Path, tmp_path: Path, precision: str
) -> None:
    found = []
    for run, count in enumerate((1, 3, 3)):
        with threads(count):
            one = learner(tiny_model, adapter=ADAPTERS["keep"], batching="pack", precision=precision, epochs=1)
            one.learn(SECOND, replaying(FIRST.train[:2]))
        found.append(([row["loss"] for row in one.log], saved(one, tmp_path / str(run))))
    (whole, alone), (losses, state), again = found
    assert (losses, state) == again
    assert state["adapter_model.safetensors"] != alone["adapter_model.safetensors"]  # it was divided
    assert losses == pytest.approx(whole, rel=1e-3 if precision == "fp32" else 3e-2)


def example(first: int, weight: float = 1.0) -> TaughtExample:
    return TaughtExample(Encoded([first, first + 1, first + 2, 2], 2), weight, weight != 1.0)


@pytest.mark.parametrize("join", JOINS)
def test_batches_of_an_accumulated_step_add_up(tiny_model: Path, join: str) -> None:
    batches = [[example(5), example(9)], [example(20), example(30), example(40)], [example(50)]]
    assert_same_step(loaded(tiny_model), join, batches=batches, tokens=6 * 2)


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("weights", [(0.0, 1.0, 1.0), (0.0, 0.0, 0.5), (0.0, 0.0, 0.0)])
def test_rows_without_weight_teach_nothing(tiny_model: Path, join: str, weights: tuple[float, ...]) -> None:
    model = loaded(tiny_model)
    batch = [example(10 * (k + 1), weight) for k, weight in enumerate(weights)]
    assert_same_step(model, join, batches=[batch], tokens=None)
    _, gradients, counted = step(model, join, Recording(), 2, None, [batch])
    assert any(bool(one.abs().sum()) for one in gradients) is any(weights)
    assert counted.tokens == 6


# PEFT's OSF projects gradients in hooks, which are called once for a whole batch.
@pytest.mark.parametrize(("adapter", "divided"), [("merge", True), ("fresh", True), ("full", True), ("osf", False)])
@pytest.mark.parametrize("join", JOINS)
def test_every_adapter_is_taught_as_by_one_thread(tiny_model: Path, join: str, adapter: str, divided: bool) -> None:
    import torch

    one = learner(tiny_model, adapter=ADAPTERS[adapter])
    one._weights.begin_stage(1)
    network = one._weights.model.train()
    torch.manual_seed(1)
    for name, weight in network.named_parameters():
        if "lora_B" in name:  # zero at first, which leaves nothing to compare
            torch.nn.init.normal_(weight, std=0.2)
    with packed_attention(network) if join == "pack" else nullcontext():
        assert_same_step(network, join, divided, tokens=None)


class Breaking(AnswerObjective):
    """Cross entropy that does something first, on a thread of its own."""

    def __init__(self, what: Any) -> None:
        self.what = what

    def __call__(self, batch: ObjectiveBatch) -> Any:
        if threading.current_thread() is not threading.main_thread():
            self.what(batch)
        return super().__call__(batch)


@pytest.mark.parametrize("join", JOINS)
def test_an_error_on_a_thread_reaches_the_caller_and_the_next_step_is_as_ever(tiny_model: Path, join: str) -> None:
    import torch

    def fail(batch: ObjectiveBatch) -> None:
        if any(one.encoded.tokens[0] == 9 for one in batch.examples):
            raise ModelError("no such loss")

    model = loaded(tiny_model)
    whole, gradients, _ = step(model, join, Recording(), 1)
    with threads(2):
        with pytest.raises(ModelError, match="no such loss"):
            step(model, join, Breaking(fail), 2)
        assert torch.get_num_threads() == 2
    assert all(weight.grad is None for weight in model.parameters())
    divided, others, _ = step(model, join, Recording(), 2)
    torch.testing.assert_close(divided, whole)
    torch.testing.assert_close(others, gradients, rtol=1e-3, atol=1e-5)


def test_interrupted_while_threads_teach_it_ends_and_goes_on_to_the_same_bytes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def taught(progress: Path | None, folder: str) -> dict[str, bytes]:
        one = learner(tiny_model, adapter=ADAPTERS["keep"], batching="pack", save_every=0)
        one.progress_dir = progress
        one.learn(SECOND, replaying(FIRST.train))
        return saved(one, tmp_path / folder)

    part, parts, ended = TrainingLoss.part, [], []

    def interrupting(self: Any, *arguments: Any) -> Any:
        parts.append(threading.current_thread() is threading.main_thread())
        if len(parts) == 5:  # a part of the third step
            os.kill(os.getpid(), signal.SIGINT)
        found = part(self, *arguments)
        ended.append(True)
        return found

    with threads(2):
        expected = taught(None, "undisturbed")
        with monkeypatch.context() as patch:
            patch.setattr(TrainingLoss, "part", interrupting)
            with pytest.raises(KeyboardInterrupt):
                taught(tmp_path / "progress", "interrupted")
        assert not any(parts)  # all of them on other threads
        assert len(ended) == len(parts)  # none of them goes on
        assert torch.get_num_threads() == 2
        assert taught(tmp_path / "progress", "resumed") == expected


LEARN = """
import hashlib, json, os, signal, sys
from pathlib import Path

import torch
from transformers import TrainerCallback

from asking import replaying
from learners.taught import ADAPTERS, FIRST, SECOND, learner

class Kill(TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

def taught(progress, *callbacks):
    settings = {"batching": "pack", "precision": "auto", "save_every": 0, "callbacks": callbacks}
    one = learner(sys.argv[1], adapter=ADAPTERS["keep"], **settings)
    one.progress_dir = progress
    one.learn(SECOND, replaying(FIRST.train))
    folder = Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    one.save(folder)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    return [files, [row["loss"] for row in one.log]]

kept = Path(sys.argv[3])
if sys.argv[4] == "killed":
    taught(kept, Kill())
print(json.dumps([torch.get_num_threads(), taught(kept), taught(None)]))
"""


def test_processes_of_two_threads_learn_the_same_bytes_even_if_they_are_killed(
    tiny_model: Path, tmp_path: Path
) -> None:
    place = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    environment = {**os.environ, **place, "OMP_NUM_THREADS": "2"}

    def started(name: str, progress: str) -> subprocess.Popen[str]:
        told = [str(tiny_model), str(tmp_path / f"state-{name}"), str(tmp_path / progress), name]
        return subprocess.Popen(
            [sys.executable, "-c", LEARN, *told], env=environment, stdout=subprocess.PIPE, text=True
        )

    def said(process: subprocess.Popen[str]) -> Any:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        return json.loads(out.splitlines()[-1])

    one, killed = started("one", "one"), started("killed", "two")
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "two").rglob("checkpoint-*"))
    count, expected, again = said(one)
    assert count == 2
    assert again == expected
    assert said(started("resumed", "two")) == [2, expected, expected]
