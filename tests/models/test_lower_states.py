"""Upper layers fed with kept states, against the whole model: loss, gradients, likelihoods, training."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from asking import NOTHING, replaying
from inscl.contract import Question
from inscl.contract.objective import TaughtExample
from inscl.errors import ConfigError
from inscl.learners.step_loss import StepLoss
from inscl.models.adapters.lora import LoRA
from inscl.models.batches import pack, pad
from inscl.models.lower_states import LowerStates
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.packed_attention import packed_attention
from inscl.models.prompts import Encoded
from inscl.models.trainable_model import TrainableModel
from learners.taught import FIRST, SECOND, Heard, learner, saved, weights

CHOSEN = {"target_modules": ["q_proj", "v_proj", "down_proj"], "layers_to_transform": [1]}
UPPER = {"kind": "lora", "r": 4, **CHOSEN}
EXAMPLES = [
    TaughtExample(Encoded([5, 6, 7, 8, 9, 10, 2], 4)),
    TaughtExample(Encoded([5, 6, 7, 11, 12, 2], 3), 0.5, True),  # begins as the first does
    TaughtExample(Encoded([*range(20, 40), 2], 15, learned=((3, 9),))),
]


def upper(model: Path, lower: LowerStates | None, precision: str = "fp32") -> TrainableModel:
    """A model whose second and last layer is adapted, the same each time."""
    import torch

    found = TrainableModel(str(model), LoRA(r=4, **CHOSEN), precision, "cpu", lower)
    torch.manual_seed(0)
    found.begin_stage(1)
    for name, weight in found.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return found


def gradients(model: TrainableModel, join: Any) -> tuple[float, list[Any]]:
    """Loss and gradients of one step, as training computes them."""
    network = model.model.train()
    network.zero_grad()

    def collate(examples: Any) -> dict[str, Any]:
        return {**join([one.encoded for one in examples]), "examples": list(examples)}

    step = StepLoss(TrainingLoss(AnswerObjective()), collate)
    with packed_attention(network) if join is pack else nullcontext():
        loss = step(network, collate(EXAMPLES))
        loss.backward()
    return float(loss.detach()), [one.grad.clone() for one in network.parameters() if one.requires_grad]


@pytest.mark.parametrize("join", [pack, lambda rows: pad(rows, 2)], ids=["pack", "pad"])
@pytest.mark.parametrize("threads", [1, 2])
def test_loss_and_gradients_are_those_of_the_whole_model(tiny_model: Path, join: Any, threads: int) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        lower = LowerStates(1 << 20)
        model, whole = upper(tiny_model, lower), upper(tiny_model, None)
        for again in (False, True):
            found, wanted = gradients(model, join), gradients(whole, join)
            assert found[0] == pytest.approx(wanted[0], rel=1e-5)
            for one, other in zip(found[1], wanted[1], strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
            tokens = sum(len(one.encoded.tokens) for one in EXAMPLES)
            assert (lower.computed, lower.found) == (tokens, tokens if again else 0)
    finally:
        torch.set_num_threads(before)


def test_kept_states_are_what_is_read(tiny_model: Path) -> None:
    lower = LowerStates(1 << 20)
    model = upper(tiny_model, lower)
    loss, _ = gradients(model, pack)
    for states in lower._kept.values():
        states.zero_()
    assert gradients(model, pack)[0] != pytest.approx(loss, rel=1e-3)


def test_what_has_no_room_is_read_again(tiny_model: Path) -> None:
    few = 21 * 32 * 4  # the longest text alone
    lower = LowerStates(few)
    model, whole = upper(tiny_model, lower), upper(tiny_model, None)
    for _ in range(2):
        assert gradients(model, pack)[0] == pytest.approx(gradients(whole, pack)[0], rel=1e-5)
    assert lower._bytes <= few
    assert lower.computed > sum(len(one.encoded.tokens) for one in EXAMPLES)


@pytest.mark.parametrize("batching", ["pack", "length"])
def test_a_learner_learns_and_answers_as_without(tiny_model: Path, batching: str) -> None:
    both = [learner(tiny_model, adapter=UPPER, batching=batching, lower_states=states) for states in (0, 16)]
    questions, answers = [Question.of(one) for one in FIRST.test], [one.output for one in FIRST.test]
    found = []
    for one in both:
        likelihoods = []
        for task, plan in ((FIRST, NOTHING), (SECOND, replaying(FIRST.train[:2]))):
            one.learn(task, plan)
            likelihoods += [likelihood.nats for likelihood in one.log_likelihoods(questions, answers)]
        found.append((likelihoods, [answer.text for answer in one.answer(questions, 8)]))
    for one, other in zip(*map(weights, both), strict=True):
        assert other.numpy() == pytest.approx(one.numpy(), abs=1e-4)
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-3)
    assert found[1][1] == found[0][1]
    lower = both[1]._weights.lower
    assert lower is not None
    assert lower.found > lower.computed


def test_another_state_of_the_model_is_read_from_the_same_states(tiny_model: Path) -> None:
    both = [
        learner(tiny_model, adapter=UPPER, objective="kl_base", epochs=1, lower_states=states) for states in (0, 16)
    ]
    for one in both:
        one.learn(FIRST, NOTHING)
    for one, other in zip(*map(weights, both), strict=True):
        assert other.numpy() == pytest.approx(one.numpy(), abs=1e-4)


def test_an_interrupted_stage_goes_on_to_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import TrainerCallback

    class Killed(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):  # type: ignore[no-untyped-def]
            if state.global_step == 3:
                raise KeyboardInterrupt

    settings = {"adapter": UPPER, "lower_states": 16, "epochs": 4, "save_every": 0}
    whole, killed, resumed = (learner(tiny_model, **settings) for _ in range(3))
    whole.learn(FIRST, NOTHING)
    killed.progress_dir = resumed.progress_dir = tmp_path / "progress"
    killed._training.callbacks.append(Killed())
    with pytest.raises(KeyboardInterrupt):
        killed.learn(FIRST, NOTHING)
    resumed.learn(FIRST, NOTHING)
    assert saved(resumed, tmp_path / "a") == saved(whole, tmp_path / "b")


@pytest.mark.parametrize("adapter", [None, {"kind": "lora", "r": 4}, {"kind": "lora", "r": 4, "dropout": 0.1}])
def test_where_lower_layers_change_nothing_is_kept_and_it_is_said(tiny_model: Path, adapter: Any) -> None:
    heard = Heard()
    one = learner(tiny_model, adapter=adapter, lower_states=16, progress=heard, epochs=1)
    plain = learner(tiny_model, adapter=adapter, epochs=1)
    for each in (one, plain):
        each.learn(FIRST, NOTHING)
    assert all((a == b).all() for a, b in zip(weights(one), weights(plain), strict=True))
    assert sum("no lower layers' states are kept" in note for note in heard.notes) == 1


def test_a_negative_size_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="lower_states: must be 0 or more"):
        learner(tiny_model, lower_states=-1)
