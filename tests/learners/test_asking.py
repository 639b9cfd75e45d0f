from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asking import NOTHING, losses, said
from inscl.contract import Example, Question, Task
from inscl.contract.example import Image, Turn
from inscl.errors import ConfigError, DataError
from inscl.learners import CPT, ICL, RTD, DualIncrement, FineTune, ReLLa
from inscl.learners.increments.model import IncrementedModel
from inscl.models.language_model import LanguageModel
from inscl.models.prompts import FORMS
from inscl.testing.made import fake_embedder
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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [ICL, ReLLa, RTD, CPT, DualIncrement, FineTune])
def test_a_context_little_larger_than_the_template_is_never_overrun(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, make: Any, form: str
) -> None:
    taken: list[int] = []

    def generate(_: LanguageModel, prompts: list[list[int]], *, max_new_tokens: int, **__: Any) -> list[list[int]]:
        taken.extend(len(prompt) + max_new_tokens for prompt in prompts)
        return [[] for _ in prompts]

    for asked_of in (LanguageModel, IncrementedModel):
        monkeypatch.setattr(asked_of, "generate", generate)
    frame = 19 if form == "chat" else 2
    task = Task("say", tuple(Example("Say", f"x{k}", ("y",), "say") for k in range(3)))
    asked = [Question("Say", "x9"), Question("Say " * 50, "x9"), Question("", turns=TALK)]
    for length in (frame + 2, frame + 9, 2 * frame + 30, 120):
        own = {} if make in (RTD, FineTune) else {"embedder": fake_embedder}
        own |= {"k": 1} if make in (ICL, ReLLa, RTD, CPT) else {}
        one = make(str(tiny_model), max_length=length, prompt=form, precision="fp32", progress=Heard(), **own)
        if length > frame + 2 and make not in (DualIncrement, FineTune):  # which put nothing before a question
            one.learn(task, NOTHING)
        for question in asked:
            room = one._asking if make is not CPT else one._behind.asking(())
            if room.encoder.least(question.conversation) + 2 > length:
                with pytest.raises(ConfigError, match=rf"training.max_length.*{length} tokens hold no question"):
                    one.answer([question], 64)
            else:
                one.answer([question], 64)
                assert taken.pop() <= length


def test_what_is_asked_decides_how_much_room_the_template_takes(tiny_model: Path) -> None:
    asking = learner(tiny_model, max_length=80)._asking
    assert asking.room_beside(QUESTIONS[:1], 10) == 70
    assert asking.room_beside(QUESTIONS[:1], 60) == asking.room_beside([], 60) == 40
    # The frame of a system's turn and the user's is longer than half of it.
    long = asking.encoder.least(TALK)
    assert asking.room_beside(QUESTIONS, 60) == max(40, long + 1)
    assert asking.encoder.size([Turn(turn.role, "") for turn in (TALK[0], TALK[-1])]) == long
