"""How the strategy `pseudo` asks for inputs, and why a written text can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inscl.contract import Question
from inscl.contract.described import UseCase
from inscl.contract.reference_format import ReferenceFormat

__all__ = ["LETTERS", "PROMPT", "Most", "answer_problem", "input_problem", "writing_prompt"]

PROMPT = """Write one new input for the instruction below: a text that the instruction could be applied to.
It has at most {words} words and begins with the letter {letter}. Write the input alone.

Instruction: {instruction}"""
_FOR = "\n\nIt is for this use case: {name}. A good answer takes: {skills}."
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Most(NamedTuple):
    """Words of the longest input and the longest answer; an input of 0 words is none."""

    input: int
    answer: int


def writing_prompt(words: int, letter: str, instruction: str, use_case: UseCase | None = None) -> str:
    """What whoever writes inputs is asked."""
    asked = PROMPT.format(words=words, letter=letter, instruction=instruction)
    return asked if use_case is None else asked + _FOR.format(name=use_case.name, skills=", ".join(use_case.skills))


def input_problem(
    most: Most, instruction: str, written: str, known: set[tuple[str, str]], options: Sequence[str]
) -> str:
    """Why a written input can't be used; empty if it can."""
    if most.input:
        if problem := _length_problem("input", written, most.input):
            return problem
        if instruction in written or written in instruction:
            return "that repeat the instruction"
        if written in options:
            # A model that has just been taught a choice answers whatever it is asked with one of the options.
            return "whose input is an option"
    return "written already" if (instruction, written) in known else ""


def answer_problem(most: Most, question: Question, answer: str, wanted: ReferenceFormat | None) -> str:
    """Why an answer can't be used; empty if it can."""
    if problem := _length_problem("answer", answer, most.answer):
        return problem
    if question.options:
        return "" if answer in question.options else "whose answer is none of the options"
    return f"whose answer isn't {wanted.name}" if wanted and wanted.problem(answer) else ""


def _length_problem(what: str, text: str, most: int) -> str:
    if not text:
        return f"without {what}"
    return f"with too long an {what}" if len(text.split()) > most else ""
