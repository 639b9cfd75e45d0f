"""Pseudo-rehearsal: the model itself writes what is replayed, from descriptions of the earlier tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from inscl.contract import Example, Memory, Question, Task
from inscl.contract.budget import Budget
from inscl.contract.described import Described
from inscl.contract.plan import Pick, ReplayPlan, TaskShare
from inscl.contract.reference_format import ReferenceFormat
from inscl.contract.seams import Embedder, Tagger
from inscl.contract.traits import StrategyTraits
from inscl.errors import ConfigError, Problem
from inscl.replay.inscl import InsCL

__all__ = ["HOW", "PROMPT", "PseudoReplay"]

HOW = "an input written from a description of the task, answered by the model before the stage"

PROMPT = """Write one new input for the instruction below: a text that the instruction could be applied to.
It has at most {words} words and begins with the letter {letter}. Write the input alone.

Instruction: {instruction}"""
Answers = Callable[[Sequence[Question], int], list[str]]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class PseudoReplay:
    """Examples that the model writes for the earlier tasks' instructions, shared among tasks and instructions by InsCL.

    Of a task only its `Described` is used. For each place that `InsCL` gives to an instruction, the model as it is
    before the stage (or the `writer`) is asked for an input, and that model then, as in any evaluation, for the answer
    to instruction and input.
    Since answers are greedy, a letter drawn for each place makes inputs differ. Where no example of a task has an
    input, its instruction alone is answered. An input is dropped that is empty, repeats the instruction, is one of its
    options, is longer than any of the task, or was written already; an answer that is empty, longer than any of the
    task, none of the options, or not in the format of the task's answers. The place is then tried again with another
    letter.

    No paper's method is followed: the prompt, the letters and the filters are designed here. What a task's own model
    gets wrong is rehearsed wrong, and a small model writes poor inputs.

    Args:
        answers: Answers n questions with the model as it is, in at most so many tokens each.
        embedder: As for `InsCL`; needed.
        tagger: As for `InsCL`; needed.
        tag_embedder: As for `InsCL`.
        attempts: How often each place is tried.
        writer: Who writes the inputs: ``taught``, the model being taught; ``base``, the model as it came; or another
            language model, by its name or with the fields of `inscl.llm.settings.LLMSettings`. The model being taught
            answers them in any case, since it alone has learned what the task asks for.
        writers: Makes of any other `writer` than ``taught`` something like `answers`; filled in.
        longest: Most words of an input or an answer, even where the task has longer ones.

    Raises:
        ConfigError: `attempts` or `longest` is below 1.
    """

    traits = StrategyTraits(writes=True)

    def __init__(
        self,
        answers: Answers,
        embedder: Embedder | None = None,
        tagger: Tagger | None = None,
        tag_embedder: Embedder | None = None,
        attempts: int = 3,
        longest: int = 120,
        writer: str | Mapping[str, Any] = "taught",
        writers: Callable[[str | Mapping[str, Any]], Answers] | None = None,
    ) -> None:
        given = {"attempts": attempts, "longest": longest}
        if problems := [Problem(key, f"must be at least 1, got {n}") for key, n in given.items() if n < 1]:
            raise ConfigError(problems, "strategy pseudo")
        if writer != "taught" and writers is None:
            raise ConfigError(
                [Problem("writer", "is made by a run or a workspace: leave it out here")], "strategy pseudo"
            )
        self.answers, self.attempts, self.longest = answers, attempts, longest
        self.write = answers if writer == "taught" or writers is None else writers(writer)
        self.writer = writer if isinstance(writer, str) else str(writer["model"])
        self.shares = InsCL(embedder, tagger, tag_embedder, name="pseudo")

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """InsCL's plan with written examples in its places; notes and shares say what came of each task's.

        Raises:
            ConfigError: The budget is in tokens, which can't be counted before anything is written.
        """
        if budget.tokens is not None:
            said = "what isn't written yet has no tokens to count: give per_task, total or share"
            raise ConfigError([Problem("replay.budget.tokens", said)], "strategy pseudo")
        described = [Described.of(task) for task in memory.tasks]
        # InsCL reads instructions alone, so stand-ins without input or answer take the place of the examples.
        stand_ins = tuple(one.stand_ins() for one in described)
        shared = self.shares.plan(replace(memory, tasks=stand_ins), new_task, budget, rng)
        picks: list[Pick] = []
        shares, notes = [], []
        for task, share in zip(described, shared.shares, strict=True):
            places = [pick for pick in shared.picks if pick.task == task.name]
            written, dropped = self._write(task, places, rng)
            picks += [replace(pick, allocation=len(written)) for pick in written]
            shares.append(_as_written(share, written, len(places)))
            if dropped:
                told = ", ".join(f"{count} {why}" for why, count in sorted(dropped.items()))
                notes.append(f"{task.name}: {len(written)} of {len(places)} examples were written; dropped: {told}")
        parameters = {**shared.parameters, "attempts": self.attempts, "longest": self.longest, "writer": self.writer}
        return replace(
            shared,
            picks=tuple(picks),
            shares=tuple(shares),
            parameters=parameters,
            notes=(*shared.notes, *notes),
        )

    def _write(self, task: Described, places: list[Pick], rng: np.random.Generator) -> tuple[list[Pick], Counter[str]]:
        """What was written for a task's places, in their order, and why other texts were dropped, with counts."""
        if task.conversations:
            # Its instruction may be a system turn, or ask about a picture: it can't be a question of its own.
            return [], Counter({"of conversations or pictures": len(places)} if places else {})
        most = _Most(min(task.input_words, self.longest), min(task.answer_words, self.longest))
        found: dict[int, Pick] = {}
        dropped: Counter[str] = Counter()
        known: set[tuple[str, str]] = set()
        for attempt in range(1, self.attempts + 1):
            missing = [k for k in range(len(places)) if k not in found]
            texts = [places[k].example.instruction for k in missing]
            letters = [_LETTERS[k] for k in rng.integers(len(_LETTERS), size=len(missing))]
            asked, questions = [], []
            for k, text, written in zip(missing, texts, self._inputs(most, texts, letters), strict=True):
                if problem := _input_problem(most, text, written, known, task.options.get(text, ())):
                    dropped[problem] += 1
                    continue
                known.add((text, written))
                asked.append(k)
                questions.append(Question(text, written, options=task.options.get(text, ()), task=task.name))
            answers = _asked(self.answers, questions, most.answer)
            for k, question, answer in zip(asked, questions, answers, strict=True):
                if problem := _answer_problem(most, question, answer, task.answer_format):
                    dropped[problem] += 1
                    continue
                found[k] = _written(places[k], question, answer, attempt, self.writer)
            if not most.input:
                break  # an instruction alone is answered in one way
        return [found[k] for k in sorted(found)], dropped

    def _inputs(self, most: _Most, texts: Sequence[str], letters: Sequence[str]) -> list[str]:
        if not most.input:
            return [""] * len(texts)
        prompts = [
            PROMPT.format(words=most.input, letter=letter, instruction=text)
            for text, letter in zip(texts, letters, strict=True)
        ]
        return _asked(self.write, [Question(prompt) for prompt in prompts], most.input)


def _asked(answers: Answers, questions: Sequence[Question], words: int) -> list[str]:
    # A word takes few tokens, but a text of other scripts may take many; one that is cut off is mostly too long.
    return [text.strip() for text in answers(questions, 8 + 4 * words)] if questions else []


class _Most(NamedTuple):
    """Words of the longest input and the longest answer; an input of 0 words is none."""

    input: int
    answer: int


def _written(place: Pick, question: Question, answer: str, attempt: int, writer: str) -> Pick:
    facts = {"refiner": "pseudo", "version": "1", "how": HOW, "writer": writer, "described": True}
    provenance = {"parent": [], **facts}
    example = Example(
        question.instruction,
        question.input,
        (answer,),
        question.task,
        options=question.options,
        provenance=provenance,
    )
    return replace(place, example=example, reason={**place.reason, "written": True, "attempt": attempt})


def _input_problem(
    most: _Most, instruction: str, written: str, known: set[tuple[str, str]], options: Sequence[str]
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


def _answer_problem(most: _Most, question: Question, answer: str, wanted: ReferenceFormat | None) -> str:
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


def _as_written(share: TaskShare, written: Sequence[Pick], wanted: int) -> TaskShare:
    taken = Counter(pick.example.instruction for pick in written)
    table = tuple(replace(one, picked=taken[one.instruction]) for one in share.instructions)
    facts: dict[str, Any] = {**share.reason, "wanted": wanted}
    return replace(share, allocation=len(written), instructions=table, reason=facts)
