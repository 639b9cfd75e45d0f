from __future__ import annotations

from pathlib import Path

import pytest

from asking import NOTHING, losses, said
from inscl.contract import Example, Question, Task
from inscl.contract.example import Image, Turn
from inscl.errors import DataError
from inscl.models.prompts import FORMS
from learners.taught import FIRST, SECOND, Heard, learner

TALK = (Turn("system", "Be brief"), Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "Say red"))


QUESTIONS = [
    Question("Say red", "please", options=("red0", "red", "blue", "r")),
    Question("Be brief", "Say red", turns=TALK, options=("no", "yes, and at some length")),
]


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


def test_no_prompts_no_answers(tiny_model: Path) -> None:
    assert said(learner(tiny_model), []) == []


def test_a_long_prompt_is_counted_and_said(tiny_model: Path) -> None:
    heard = Heard()
    one = learner(tiny_model, max_length=64, progress=heard)
    long = Task("long", (*FIRST.train, Example("x" * 200, "", ("yes",))))
    assert one.learn(long, NOTHING).truncated == 1
    assert heard.notes == ["1 of 7 prompts shortened to fit max_length 64"]
    assert len(said(one, ["y" * 200], 4)) == 1
    assert "shortened to 60 tokens" in heard.notes[-1]


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
