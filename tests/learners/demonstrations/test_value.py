from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from inscl.contract import Example, Question
from inscl.contract.seams import NullProgress
from inscl.evaluation.scorers import rouge_l
from inscl.learners.asking import Asking
from inscl.learners.demonstrations.grader import Graded, Grader
from inscl.learners.demonstrations.layout import Layout
from inscl.learners.demonstrations.value import Value
from inscl.models.language_model import LanguageModel

SHOWN = [Example("Say", f"{k}", (f"red{k}",)) for k in range(2)]
HELD = [Example("Say", f"{k}", (f"blue {k}", "blue")) for k in range(3)]


@pytest.fixture(scope="module")
def asking(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Asking:
    # A folder of its own, so that no weights are shared with what another test has left.
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("own") / "model")
    return Asking(LanguageModel(str(folder)), "chat", 400, 4, NullProgress())


def test_likelihood_is_the_mean_of_nats_a_token_after_the_demonstrations(asking: Asking) -> None:
    import torch

    layout = Layout(asking.encoder)
    nats = []
    for one in HELD:
        rows = [turn for shown in SHOWN for turn in (("user", shown.prompt), ("assistant", shown.output))]
        messages = [{"role": role, "content": text} for role, text in [*rows, ("user", one.prompt)]]
        tokenizer = asking.model.tokenizer
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        answer = [*tokenizer(one.output, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        with torch.no_grad():
            labels = torch.tensor([[-100] * len(prompt) + answer])
            nats.append(-float(asking.model.model(torch.tensor([prompt + answer]), labels=labels).loss))
    assert Value(asking, layout, None)(SHOWN, HELD) == pytest.approx(sum(nats) / 3, rel=1e-4)


def test_a_scorer_scores_greedy_answers(asking: Asking) -> None:
    layout, seen = Layout(asking.encoder), []

    def scorer(prediction: str, references: tuple[str, ...]) -> float:
        seen.append((prediction, references))
        return len(seen) / 10

    assert Value(asking, layout, scorer)(SHOWN, HELD) == pytest.approx(0.2)
    shown = [layout.shown(SHOWN, Question.of(one), 300)[0] for one in HELD]
    assert [said for said, _ in seen] == [answer.text for answer in asking.answer(shown, 7)]
    assert [references for _, references in seen] == [one.outputs for one in HELD]
    assert 0 <= Value(asking, layout, rouge_l)(SHOWN, HELD) <= 1


def test_a_grader_sees_question_right_answer_and_greedy_answer(asking: Asking) -> None:
    layout, seen = Layout(asking.encoder), []

    def grade(cases: Sequence[Graded]) -> list[float]:
        seen.extend(cases)
        return [2.0, 9.0, 4.0]

    assert Value(asking, layout, None, cast("Grader", grade))(SHOWN, HELD) == pytest.approx(5.0)
    shown = [layout.shown(SHOWN, Question.of(one), 300)[0] for one in HELD]
    answers = [answer.text for answer in asking.answer(shown, 7)]
    assert seen == [
        Graded(one.instruction, one.input, one.output, said) for one, said in zip(HELD, answers, strict=True)
    ]


@pytest.mark.parametrize("length", [20, 60])
def test_prompt_and_answer_never_overrun_the_context(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    taken: list[int] = []

    def generate(prompts: list[list[int]], *, max_new_tokens: int, **_: Any) -> list[list[int]]:
        taken.extend(len(prompt) + max_new_tokens for prompt in prompts)
        return [[] for _ in prompts]

    monkeypatch.setattr(asking.model, "generate", generate)
    held = [Example("Say", "blue", ("blue " * length,))]
    Value(asking, Layout(asking.encoder), rouge_l)(SHOWN * 10, held)
    assert 300 < taken[0] <= asking.max_length
