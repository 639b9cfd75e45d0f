from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from inscl.contract import LogLikelihood
from inscl.models import likelihoods
from inscl.models.adapters.lora import LoRA
from inscl.models.option_likelihoods import option_likelihoods, over_options
from inscl.models.packed_reading import reads_packed
from inscl.models.prompts import Encoded

EXAMPLES = [
    Encoded([5, 6, 7, 8, 9, 10, 2], 4),
    Encoded([11, 12, 2], 1),
    Encoded([*range(20, 40), 2], 15, learned=((3, 9),)),
    Encoded([2, 2, 2, 2], 2),  # the end of sequence, which is also what pads, in prompt and answer
    Encoded([50, 2], 1),
]


@pytest.fixture(scope="module", params=["bare", "adapted", "padded"])
def model(request: pytest.FixtureRequest, tiny_model: Path):
    import torch
    from transformers import AutoModelForCausalLM

    attention = "eager" if request.param == "padded" else "sdpa"
    bare = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation=attention).eval()
    assert reads_packed(bare) is (request.param != "padded")
    if request.param != "adapted":
        return bare
    adapted = LoRA(r=4).wrap(bare, "tiny").eval()
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return adapted


def plainly(model, example: Encoded) -> LogLikelihood:
    """One forward pass of transformers over one example."""
    import torch

    with torch.no_grad():
        logits = model(input_ids=torch.tensor([example.tokens])).logits[0].double().log_softmax(-1)
    nats, correct = 0.0, 0
    for place in range(example.prompt_length, len(example.tokens)):
        nats += float(logits[place - 1, example.tokens[place]])
        correct += int(logits[place - 1].argmax()) == example.tokens[place]
    return LogLikelihood(nats, len(example.tokens) - example.prompt_length, correct)


def assert_same(found: list[LogLikelihood], expected: list[LogLikelihood]) -> None:
    assert [(one.tokens, one.correct) for one in found] == [(one.tokens, one.correct) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.nats == pytest.approx(other.nats, abs=1e-4 * one.tokens)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_they_are_those_of_a_plain_forward_pass(model, batch_size: int) -> None:
    found = likelihoods.log_likelihoods(model, EXAMPLES, batch_size=batch_size, pad_token=2)
    assert_same(found, [plainly(model, example) for example in EXAMPLES])


def test_greedy_tokens_count_as_correct(model) -> None:
    import torch

    tokens = [5, 6, 7]
    for _ in range(4):
        with torch.no_grad():
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    found = likelihoods.log_likelihoods(model, [Encoded(tokens, 3)], batch_size=1, pad_token=2)
    assert found[0].correct == found[0].tokens == 4


@pytest.mark.parametrize("batch_size", [1, 3, 4, 32])
def test_options_are_as_likely_as_answers(model, batch_size: int) -> None:
    prompts = [[5, 6, 7], [30] * 20, [9], [2, 2, 8, 7]]
    options = [[[8, 2], [8, 9, 2], [8, 9, 9, 9, 2], [2], [60, 2]], [[40, 2], [2]], [[7, 7, 2]], [[2], [5, 2]]]
    found = option_likelihoods(model, prompts, options, batch_size=batch_size, pad_token=2)
    for prompt, own, rows in zip(prompts, options, found, strict=True):
        assert_same(rows, [plainly(model, Encoded([*prompt, *option], len(prompt))) for option in own])


@pytest.fixture
def read(model, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Shape of the tokens of every forward pass."""
    read: list[tuple[int, int]] = []
    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    forward = bare.forward

    def counted(*arguments, **settings):
        read.append(tuple(settings["input_ids"].shape))
        return forward(*arguments, **settings)

    # `understood` reads the signature of the real one.
    counted.__wrapped__ = forward  # type: ignore[attr-defined]
    monkeypatch.setattr(bare, "forward", counted)
    return read


@pytest.fixture
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_several_questions_are_read_in_a_batch(model, read: list[tuple[int, int]]) -> None:
    prompts = [[30] * length for length in (9, 40, 8, 41)]
    options = [[[5, 6, 2], [7, 2]]] * 4
    assert len(option_likelihoods(model, prompts, options, batch_size=4, pad_token=2)) == 4
    if reads_packed(model):
        # The longest question, which begins as all of them do, and for each question what its options begin with: the
        # end of an answer is predicted, not read.
        assert read == [(1, 41 + 4 * 3)]
    else:
        assert read == [(2, 9), (4, 2), (2, 41), (4, 2)]


@pytest.mark.usefixtures("one_thread")
def test_the_question_is_read_once(model, read: list[tuple[int, int]]) -> None:
    options = [[first, second, 2] for first in range(3, 23) for second in range(3, 13)]
    (found,) = option_likelihoods(model, [[30] * 50], [options], batch_size=64, pad_token=2)
    assert len(found) == 200
    # Twenty first tokens, and after each of them ten second ones; the end is predicted, not read.
    assert read == [(1, 50 + 20 + 200)] if reads_packed(model) else [(1, 50), (64, 2), (64, 2), (64, 2), (8, 2)]
    for k in (0, 77, 199):
        assert_same([found[k]], [plainly(model, Encoded([30] * 50 + options[k], 50))])


@pytest.mark.usefixtures("one_thread")
def test_what_predicts_the_same_is_projected_once(model, monkeypatch: pytest.MonkeyPatch) -> None:
    if not reads_packed(model):
        pytest.skip("options that are padded are projected one by one")
    projected: list[int] = []
    head = model.get_output_embeddings()
    plain = head.forward
    monkeypatch.setattr(head, "forward", lambda states: (projected.append(states.shape[1]), plain(states))[1])
    options = [[3, second, 2] for second in range(3, 13)]
    option_likelihoods(model, [[30] * 50], [options], batch_size=64, pad_token=2)
    assert projected == [1 + 1 + 10]  # after the question, after its first token, after each second one


@pytest.mark.usefixtures("one_thread")
def test_a_batch_has_no_more_distinct_tokens_than_so_many_of_the_longest(
    model, read: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reads_packed(model):
        pytest.skip("padded batches count texts")
    examples = [Encoded([first] * 10 + [2], 10) for first in range(3, 13)]
    expected = [plainly(model, example) for example in examples]
    read.clear()
    assert_same(likelihoods.log_likelihoods(model, examples, batch_size=4, pad_token=2), expected)
    assert read == [(1, 40), (1, 40), (1, 20)]
    read.clear()
    monkeypatch.setattr(likelihoods, "_MOST_TOKENS", 25)
    assert_same(likelihoods.log_likelihoods(model, examples, batch_size=4, pad_token=2), expected)
    assert read == [(1, 20)] * 5


def test_large_logits_make_small_batches(model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihoods, "_MOST_LOGITS", 1)
    assert_same(
        likelihoods.log_likelihoods(model, EXAMPLES, batch_size=32, pad_token=2),
        [plainly(model, example) for example in EXAMPLES],
    )


@pytest.mark.parametrize("normalise", [True, False])
def test_over_options_is_a_distribution(normalise: bool) -> None:
    found = over_options([LogLikelihood(-2.0, 4), LogLikelihood(-1.0, 1)], normalise)
    assert sum(map(math.exp, found)) == pytest.approx(1)
    assert found[0] - found[1] == pytest.approx(0.5 if normalise else -1.0)


def test_very_unlikely_options_still_compare() -> None:
    found = over_options([LogLikelihood(-9000.0, 4), LogLikelihood(-9001.0, 4)], False)
    assert found[0] == pytest.approx(-math.log(1 + math.exp(-1)))


def test_the_states_that_predict_an_answer_are_those_of_a_plain_forward_pass(model) -> None:
    import torch

    found = likelihoods.answer_states(model, EXAMPLES, batch_size=2, pad_token=2)
    for one, example in zip(found, EXAMPLES, strict=True):
        with torch.no_grad():
            outputs = model(input_ids=torch.tensor([example.tokens]), output_hidden_states=True)
        before = slice(example.prompt_length - 1, len(example.tokens) - 1)
        said = torch.tensor(example.tokens[example.prompt_length :])
        nats = outputs.logits[0, before].log_softmax(-1).gather(1, said[:, None])[:, 0]
        assert one.hidden == pytest.approx(outputs.hidden_states[-1][0, before].numpy(), abs=1e-4)
        assert one.log_probabilities == pytest.approx(nats.numpy(), abs=1e-4)
