"""Prompts against the template of transformers, and against texts written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Answer, Example, Question
from inscl.contract.example import Turn
from inscl.learners.demonstrations import urial
from inscl.learners.demonstrations.layout import Layout
from inscl.models.prompts import PromptEncoder

SHOWN = [Example("Add.", f"{k} + {k}", (str(2 * k),)) for k in range(1, 5)]
ASKED = Question("Add.", "7 + 7")
TURNS = (Turn("system", "Be brief"), Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "And you?"))
TALK = Question("Be brief", "And you?", TURNS)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def text(layout: Layout, question: Question = ASKED, shown: list[Example] | None = None) -> str:
    found, count = layout.shown(SHOWN[:2] if shown is None else shown, question, 10_000)
    assert count == (2 if shown is None else len(shown))
    return layout.encoder.tokenizer.decode(layout.encoder.prompt(found.conversation, 10_000).tokens)


def chat(tokenizer: Any, *messages: tuple[str, str]) -> str:
    rows = [{"role": role, "content": content} for role, content in messages]
    return str(tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True))


def exchange(k: int, answer: int | None = None) -> list[tuple[str, str]]:
    return [("user", f"Add.\n\n{k} + {k}"), ("assistant", str(answer or 2 * k))]


def test_a_demonstration_is_an_exchange_of_the_models_own_template(tokenizer: Any) -> None:
    layout, asked = Layout(PromptEncoder(tokenizer)), ("user", "Add.\n\n7 + 7")
    assert text(layout) == chat(tokenizer, *exchange(1), *exchange(2), asked)
    assert text(layout, shown=[]) == chat(tokenizer, asked)


def test_order_and_answers(tokenizer: Any) -> None:
    encoder, asked = PromptEncoder(tokenizer), ("user", "Add.\n\n7 + 7")
    assert text(Layout(encoder, "best_last")) == chat(tokenizer, *exchange(2), *exchange(1), asked)
    shuffled = {text(Layout(encoder, "shuffled", seed=seed), shown=SHOWN) for seed in range(20)}
    assert len(shuffled) > 5
    assert text(Layout(encoder, "shuffled", seed=3)) == text(Layout(encoder, "shuffled", seed=3))
    moved = [*exchange(1, 4), *exchange(2, 6), *exchange(3, 2)]
    assert text(Layout(encoder, answers="shuffled"), shown=SHOWN[:3]) == chat(tokenizer, *moved, asked)
    blocks = "# Query:\n\nAdd.\n\n1 + 1\n\n# Query:\n\nAdd.\n\n2 + 2\n\n# Query:\n\nAdd.\n\n7 + 7"
    assert text(Layout(encoder, answers="none")) == chat(tokenizer, ("user", blocks))


def test_blocks_under_markers_in_the_plain_form(tokenizer: Any) -> None:
    encoder = PromptEncoder(tokenizer, "plain")
    begun = "# Query:\n\nAdd.\n\n1 + 1\n\n# Answer:\n\n2\n\n# Query:\n\nAdd.\n\n2 + 2\n\n# Answer:\n\n4\n\n"
    asked = "# Query:\n\nAdd.\n\n7 + 7\n\n# Answer:\n\n"
    assert text(Layout(encoder)) == begun + asked
    queries = "# Query:\n\nAdd.\n\n1 + 1\n\n# Query:\n\nAdd.\n\n2 + 2\n\n"
    assert text(Layout(encoder, answers="none")) == queries + asked


def test_rules_and_three_examples_of_urial_stand_before_the_question(tokenizer: Any) -> None:
    own = [turn for one in urial.EXAMPLES for turn in (("user", one.prompt), ("assistant", one.output))]
    assert len(urial.EXAMPLES) == 3
    layout = Layout(PromptEncoder(tokenizer), urial=True)
    expected = chat(tokenizer, ("system", urial.RULES), *exchange(1), *exchange(2), *own, ("user", "Add.\n\n7 + 7"))
    assert text(layout) == expected
    talk = [("user", "Hello"), ("assistant", "Hi"), ("user", "And you?")]
    both = chat(tokenizer, ("system", f"{urial.RULES}\n\nBe brief"), *own, *talk)
    assert text(layout, TALK, []) == both


def test_conversations_as_questions_and_as_demonstrations(tokenizer: Any) -> None:
    layout = Layout(PromptEncoder(tokenizer))
    talk = [("user", "Hello"), ("assistant", "Hi"), ("user", "And you?")]
    shown = Example("Be brief", "And you?", ("Fine",), turns=TALK.turns)
    # The same system turn isn't said twice; another one stands before what is asked.
    assert text(layout, TALK, [shown]) == chat(tokenizer, ("system", "Be brief"), *talk, ("assistant", "Fine"), *talk)
    moved = [("user", "Be brief\n\nHello"), *talk[1:], ("assistant", "Fine"), ("user", "Add.\n\n7 + 7")]
    assert text(layout, shown=[shown]) == chat(tokenizer, *moved)


@pytest.mark.parametrize("form", ["chat", "plain"])
@pytest.mark.parametrize("urial_too", [False, True])
def test_as_many_as_fit_and_never_more(tokenizer: Any, form: str, urial_too: bool) -> None:
    layout = Layout(PromptEncoder(tokenizer, form), urial=urial_too)

    def tokens(count: int) -> int:
        found, shown = layout.shown(SHOWN[:count], ASKED, 10**6)
        assert shown == count
        return len(layout.encoder.prompt(found.conversation, 10**6).tokens)

    for room in range(0, tokens(4) + 10, 3):
        found, count = layout.shown(SHOWN, ASKED, room)
        assert found.turns == layout.shown(SHOWN[:count], ASKED, 10**6)[0].turns
        assert count == 0 or tokens(count) <= room
        assert count == 4 or tokens(count + 1) > room
    assert layout.size(SHOWN[0]) == tokens(1) - tokens(0)


def test_an_answer_ends_where_the_next_block_begins(tokenizer: Any) -> None:
    said = "14\n\n# Query:\n\nAdd.\n\n8 + 8\n\n# Answer:\n\n16"
    plain, chat_form = (Layout(PromptEncoder(tokenizer, form)) for form in ("plain", "chat"))
    assert plain.ended(Answer(said, answer_tokens=9)) == Answer("14", answer_tokens=9)
    assert plain.ended(Answer("# Answer: 3")) == Answer("")
    assert plain.ended(Answer("a # Query: b")) == Answer("a # Query: b")
    assert chat_form.ended(Answer(said)) == Answer(said)
    # One that was cut off within the marker of the next block: the last token of a short answer is often a part of it.
    for part in ("#", "# Answ", "# Answer", "# Q"):
        cut = Answer(f"14\n\n\n{part}", answer_tokens=7)
        assert plain.ended(cut, 7).text == "14"
        assert plain.ended(cut, 8) == cut
        assert plain.ended(Answer(part, answer_tokens=7), 7).text == ""
        assert chat_form.ended(cut, 7) == cut
    for whole in ("14 #", "14\n# Answers", "14\n## Q", "14"):
        assert plain.ended(Answer(whole, answer_tokens=7), 7).text == whole


SAID = ["14\n\n# Query:\n\nAdd.", "\n # Answer: 3", "a # Query: b\n# Query", "x" * 40 + "\n# Answer:"]


@pytest.mark.parametrize("said", SAID)
def test_an_answer_is_over_with_the_token_that_completes_a_marker(tokenizer: Any, said: str) -> None:
    plain, chat_form = (Layout(PromptEncoder(tokenizer, form)) for form in ("plain", "chat"))
    tokens = list(tokenizer(said, add_special_tokens=False).input_ids)
    for length in range(1, len(tokens) + 1):
        so_far = Answer(tokenizer.decode(tokens[:length]).strip())
        assert plain.over(tokens[:length]) == (plain.ended(so_far) != so_far)
        assert not chat_form.over(tokens[:length])
