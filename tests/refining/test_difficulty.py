"""IFD against a plain forward pass of transformers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from inscl.refining.difficulty import GUESS, Student

PAIRS = [("Name a colour.", "red"), ("Spell the word.\n\ncat", "c a t, with spaces"), ("?", "x" * 40)]


def by_hand(model: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    """Mean loss of the answer's tokens and the end of sequence, one token after another."""
    import torch

    frame = f"<|start|>user\n{prompt}<|end|>\n<|start|>assistant\n"
    before = tokenizer(frame, add_special_tokens=False).input_ids
    said = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([before + said])).logits[0].float()
    found = logits.log_softmax(-1)
    return -sum(float(found[len(before) + k - 1, token]) for k, token in enumerate(said)) / len(said)


def test_both_ratios_are_those_of_a_plain_forward_pass(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    student = Student(str(tiny_model))
    for (prompt, answer), ifd, backwards in zip(PAIRS, student.ifd(PAIRS), student.reversed_ifd(PAIRS), strict=True):
        given, alone = (by_hand(model, tokenizer, text, answer) for text in (prompt, ""))
        assert ifd == pytest.approx(math.exp(given - alone), rel=1e-4)
        guess = GUESS.replace("{answer}", answer)
        given, alone = (by_hand(model, tokenizer, text, prompt) for text in (guess, ""))
        assert backwards == pytest.approx(math.exp(given - alone), rel=1e-4)
    assert student.ifd([]) == []
    assert student.fingerprint != Student(str(tiny_model), "plain").fingerprint


def test_what_has_no_room_is_not_measured_and_changes_nothing_else(tiny_model: Path) -> None:
    long = ("What?\n\n" + "w" * 300, "y" * 300)
    alone, student = Student(str(tiny_model)), Student(str(tiny_model), max_length=240)
    both = student.ifd([PAIRS[0], long, (long[0], "red")])
    assert both[0] == pytest.approx(alone.ifd(PAIRS[:1])[0], rel=1e-5)
    assert math.isnan(both[1])
    assert both[2] > 0  # the question is shortened
    back = student.reversed_ifd([PAIRS[0], (long[0], "red")])
    assert back[0] == pytest.approx(alone.reversed_ifd(PAIRS[:1])[0], rel=1e-5)
    assert math.isnan(back[1])
    assert all(map(math.isnan, student.ifd([long])))
