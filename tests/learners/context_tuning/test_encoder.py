"""Prompts that begin with a context: their tokens, their roles, and that they never overrun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Example, Question
from inscl.contract.example import Turn
from inscl.errors import DataError
from inscl.learners.context_tuning.encoder import ContextEncoder
from inscl.models.prompts import FORMS, PromptEncoder

EXAMPLE = Example("Say red", "please", ("red",), "red")
TURNS = (Turn("system", "Be"), Turn("user", "A"), Turn("assistant", "B"), Turn("user", "C"))
TALK = Example("Ends", "", ("red",), "red", turns=TURNS)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def spelled(encoder: PromptEncoder, block: list[tuple[int, int]]) -> list[tuple[int, str]]:
    """The texts of a demonstration, each with the role of its tokens."""
    found: list[tuple[int, list[int]]] = []
    for token, role in block:
        if not found or found[-1][0] != role:
            found.append((role, []))
        found[-1][1].append(token)
    return [(role, encoder.tokenizer.decode(tokens)) for role, tokens in found]


def test_each_token_of_a_demonstration_has_its_role(tokenizer: Any) -> None:
    chat, plain = (ContextEncoder(tokenizer, form, 512) for form in FORMS)
    middle = "<|end|>\n<|start|>assistant\n"
    next_ = [(4, "red"), (0, "<|end|>"), (1, "\n<|start|>user\n")]
    assert spelled(chat, chat.demonstration(EXAMPLE)) == [(2, "Say red\n\nplease"), (3, middle), *next_]
    assert spelled(plain, plain.demonstration(EXAMPLE)) == [(2, "Say red\n\nplease"), (3, "\n\n"), *next_[:2]]
    back = "<|end|>\n<|start|>user\n"
    assert spelled(chat, chat.demonstration(TALK)) == [
        (2, "Be\n\nA"), (1, middle), (2, "B"), (1, back), (2, "C"), (3, middle), *next_
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_context_and_a_question_are_one_conversation(tokenizer: Any, form: str) -> None:
    bare = ContextEncoder(tokenizer, form, 512)
    tokens = [token for token, _ in bare.demonstration(EXAMPLE)]
    encoder = ContextEncoder(tokenizer, form, 512, tokens)
    asked = encoder.encode(Example("Say blue", "x", ("blue",), "blue"))
    assert asked.tokens[: len(encoder.beginning)] == encoder.beginning
    assert encoder.beginning == [*bare.beginning, *tokens]
    assert bare.prompt(Question("Say blue", "x").conversation) == PromptEncoder(tokenizer, form).prompt(
        Question("Say blue", "x").conversation
    )
    if form == "chat":
        turns = (Turn("user", EXAMPLE.prompt), Turn("assistant", "red"), Turn("user", "Say blue\n\nx"))
        assert asked.tokens[: asked.prompt_length] == PromptEncoder(tokenizer, form).prompt(turns).tokens
    with_system = encoder.prompt(TALK.turns)
    assert with_system.tokens[: len(encoder.beginning)] == encoder.beginning
    assert "Be\n\nA" in tokenizer.decode(with_system.tokens)
    assert encoder.size(TALK.turns) == len(with_system.tokens)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [90, 120, 200])
def test_what_is_too_long_loses_its_own_middle_and_never_the_context(tokenizer: Any, form: str, length: int) -> None:
    tokens = [token for token, _ in ContextEncoder(tokenizer, form, 512).demonstration(EXAMPLE)][:40]
    encoder = ContextEncoder(tokenizer, form, length, tokens)
    found = encoder.encode(Example("BEGIN " + "x" * 300 + " END", "", ("the answer",)))
    assert found.truncated
    assert len(found.tokens) == length
    assert found.tokens[: len(encoder.beginning)] == encoder.beginning
    talk = encoder.prompt([Turn("user", "y" * 90), Turn("assistant", "z" * 90), Turn("user", "last")], length)
    assert talk.tokens[: len(encoder.beginning)] == encoder.beginning
    assert len(talk.tokens) <= length


def test_an_answer_that_fits_only_without_the_context_is_refused_and_said_why(tokenizer: Any) -> None:
    encoder = ContextEncoder(tokenizer, "plain", 60, [7] * 30)
    with pytest.raises(DataError, match=r"has 41 tokens, too many for max_length 60; .*; 30 of those tokens"):
        encoder.encode(Example("a", "", ("y" * 40,), "t"))
    assert len(ContextEncoder(tokenizer, "plain", 60).encode(Example("a", "", ("y" * 40,), "t")).tokens) == 44
