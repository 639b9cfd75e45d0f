"""Pseudo-rehearsal: the model itself writes what is replayed, from descriptions of the earlier tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Question, Task
from inscl.contract.budget import Budget
from inscl.contract.described import Described
from inscl.contract.noted import Noted
from inscl.contract.plan import Pick, ReplayPlan, TaskShare
from inscl.contract.seams import Embedder, Learner, Persistent, Tagger
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.errors import ConfigError, Problem
from inscl.replay.inscl import InsCL
from inscl.replay.pseudo_asking import LETTERS, PROMPT, Most, answer_problem, input_problem, writing_prompt
from inscl.replay.pseudo_notes import Encode, LossesAfter, described, encoded, measures, nearly_all, taught_to_write

__all__ = ["HOW", "PROMPT", "PseudoReplay"]

HOW = "an input written from a description of the task, answered by the model before the stage"
ADAPTER = "adapter"
"""The `writer` that is trained on a task's own inputs."""

Answers = Callable[[Sequence[Question], int], list[str]]


class PseudoReplay:
    """Examples that the model writes for the earlier tasks' instructions, shared among tasks and instructions by InsCL.

    Of a task only its `Described` is used. For each place that `InsCL` gives to an instruction, the model as it is
    before the stage (or the `writer`) is asked for an input, and that model then, as in any evaluation, for the answer
    to instruction and input.
    Since answers are greedy, a letter drawn for each place makes inputs differ. Where no example of a task has an
    input, its instruction alone is answered. An input is dropped that is empty, repeats the instruction, is one of its
    options, is longer than any of the task, or was written already; an answer that is empty, longer than any of the
    task, none of the options, not in the format of the task's answers, or unlikely for the model as it was right after
    the task. The place is then tried again with another letter.

    When a task has just been learned, `describe` notes what it needs for that: within how many nats a token the model
    gives nearly all answers of the task (`likely`). If an `encoder` is given, a language model also names use cases and
    skills of some examples, one of which each request for an input then carries.

    No paper's method is followed: the prompt, the letters, the filters and the small writer are designed here; use
    cases and skills are CodecLM's (Wang et al., arXiv 2404.05875). What a task's own model gets wrong is rehearsed
    wrong, and a small model writes poor inputs.

    Args:
        answers: Answers n questions with the model as it is, in at most so many tokens each.
        embedder: As for `InsCL`; needed.
        tagger: As for `InsCL`; needed.
        tag_embedder: As for `InsCL`.
        attempts: How often each place is tried.
        writer: Who writes the inputs: ``taught``, the model being taught; ``base``, the model as it came; ``adapter``,
            a small LoRA on that, trained on the task's own inputs when it was learned and kept with its stage; or
            another language model, by its name or with the fields of `inscl.llm.settings.LLMSettings`. The model being
            taught answers them in any case, since it alone has learned what the task asks for.
        writers: Makes of any other `writer` than ``taught`` something like `answers`; filled in.
        longest: Most words of an input or an answer, even where the task has longer ones.
        likely: An answer may be as unlikely, for the model right after the task, as this share of the task's own
            answers were at most; None drops none for that. It isn't checked where that model wasn't kept or the learner
            can't compute likelihoods; the shares of the plan say so.
        encoder: The language model that names use cases and skills: its name, or the fields of `LLMSettings`. It is
            told the instructions and inputs of up to 20 examples of each task. None keeps no use cases.
        encoders: Makes of an `encoder` what asks it; filled in.
        losses: The loss of examples under the model as it is, nats an answer token; filled in.
        new_learner: Makes a learner like the one that is taught; filled in.
        small_learner: Makes a learner on the same model whose only weights are a small LoRA; filled in.

    Raises:
        ConfigError: `attempts` or `longest` is below 1, `likely` is no share, or the learner's state can't be kept and
            `writer` is ``adapter``.
    """

    traits = StrategyTraits(writes=True, describes=True, restores=True)

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
        likely: float | None = 0.95,
        encoder: str | Mapping[str, Any] | None = None,
        encoders: Callable[[str | Mapping[str, Any]], Encode] | None = None,
        losses: Callable[[Sequence[Example]], NDArray[np.float64]] | None = None,
        new_learner: Callable[[], Learner] | None = None,
        small_learner: Callable[[], Learner] | None = None,
    ) -> None:
        given = {"attempts": attempts, "longest": longest}
        problems = [Problem(key, f"must be at least 1, got {n}") for key, n in given.items() if n < 1]
        if likely is not None and not 0 < likely <= 1:
            problems.append(Problem("likely", f"a share above 0 and up to 1, or null, was expected: {likely!r}"))
        makes = small_learner if writer == ADAPTER else writers
        made_by_a_run = {"writer": writer == "taught" or makes, "encoder": encoder is None or encoders}
        said = "is made by a run or a workspace: leave it out here"
        problems += [Problem(key, said) for key, there in made_by_a_run.items() if not there]
        if writer == ADAPTER and small_learner is not None:
            traits = traits_of(small_learner(), LearnerTraits)
            if not traits.trains or not traits.saves:
                said = "an adapter needs a learner that trains weights and keeps them, as fine_tune does: use another"
                problems.append(Problem("writer", said))
        if problems:
            raise ConfigError(problems, "strategy pseudo")
        self.answers, self.attempts, self.longest = answers, attempts, longest
        self.likely, self.losses, self.new_learner = likely, losses, new_learner
        self.traits = replace(self.traits, restores=likely is not None)
        self.small_learner = small_learner if writer == ADAPTER else None
        self.encode = None if encoder is None or encoders is None else encoders(encoder)
        self.write = answers if writer in ("taught", ADAPTER) or writers is None else writers(writer)
        self.writer = writer if isinstance(writer, str) else str(writer["model"])
        self.shares = InsCL(embedder, tagger, tag_embedder, name="pseudo")

    def describe(self, task: Task, folder: Path) -> list[dict[str, Any]]:
        """Note of a task that was just learned what is needed when its examples are gone.

        Args:
            task: With its examples.
            folder: Where the small writer goes, if there is one.

        Returns:
            The bound for the likelihood of answers, and use cases with their skills.

        Raises:
            EndpointError: The encoder can't be asked. The answers that came are kept.
            ModelError: The small writer can't be trained.
        """
        facts: list[dict[str, Any]] = []
        if self.likely is not None and self.losses is not None and len(task.train) and measures(self.new_learner):
            facts.append({"answer_loss": round(nearly_all(task, self.losses, self.likely), 6)})
        if self.encode is not None:
            facts += [{"use_case": name, "skills": list(skills)} for name, skills in encoded(task, self.encode)]
        if self.small_learner is not None:
            taught_to_write(self.small_learner(), task, self.longest, folder)
        return facts

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """InsCL's plan with written examples in its places; notes and shares say what came of each task's.

        Raises:
            ConfigError: The budget is in tokens, which can't be counted before anything is written.
        """
        if budget.tokens is not None:
            said = "what isn't written yet has no tokens to count: give per_task, total or share"
            raise ConfigError([Problem("replay.budget.tokens", said)], "strategy pseudo")
        told = [described(task, memory.noted.get(task.name)) for task in memory.tasks]
        # InsCL reads instructions alone, so stand-ins without input or answer take the place of the examples.
        stand_ins = tuple(one.stand_ins() for one in told)
        shared = self.shares.plan(replace(memory, tasks=stand_ins), new_task, budget, rng)
        picks: list[Pick] = []
        shares, notes = [], []
        for task, share in zip(told, shared.shares, strict=True):
            places = [pick for pick in shared.picks if pick.task == task.name]
            noted = memory.noted.get(task.name)
            after = LossesAfter(task, noted, self.new_learner)
            written, dropped = self._write(task, places, rng, after, self._writer_of(task, noted))
            picks += [replace(pick, allocation=len(written)) for pick in written]
            shares.append(_as_written(share, written, len(places), after if self.likely is not None else None))
            if dropped:
                why = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
                notes.append(f"{task.name}: {len(written)} of {len(places)} examples were written; dropped: {why}")
        parameters = {**shared.parameters, "attempts": self.attempts, "longest": self.longest, "writer": self.writer}
        parameters["likely"] = self.likely
        return replace(
            shared,
            picks=tuple(picks),
            shares=tuple(shares),
            parameters=parameters,
            notes=(*shared.notes, *notes),
        )

    def _writer_of(self, task: Described, noted: Noted | None) -> Answers | None:
        """Who writes a task's inputs; None where its adapter isn't there."""
        if self.small_learner is None:
            return self.write
        if noted is None or noted.folder is None:
            return None
        make, folder, made = self.small_learner, noted.folder, list[Learner]()

        def write(questions: Sequence[Question], most: int) -> list[str]:
            if not made:
                made.append(make())
                cast(Persistent, made[0]).load(folder)
            return [answer.text for answer in made[0].answer(questions, most)]

        return write

    def _write(
        self, task: Described, places: list[Pick], rng: np.random.Generator, after: LossesAfter, write: Answers | None
    ) -> tuple[list[Pick], Counter[str]]:
        """What was written for a task's places, in their order, and why other texts were dropped, with counts."""
        if not places:
            return [], Counter()
        if task.conversations:
            # Its instruction may be a system turn, or ask about a picture: it can't be a question of its own.
            return [], Counter({"of conversations or pictures": len(places)})
        most = Most(min(task.input_words, self.longest), min(task.answer_words, self.longest))
        if write is None and most.input:
            return [], Counter({"of a task without an adapter that writes": len(places)})
        found: dict[int, Pick] = {}
        dropped: Counter[str] = Counter()
        known: set[tuple[str, str]] = set()
        for attempt in range(1, self.attempts + 1):
            missing = [k for k in range(len(places)) if k not in found]
            texts = [places[k].example.instruction for k in missing]
            asked, questions = [], []
            for k, text, written in zip(missing, texts, self._inputs(task, most, texts, rng, write), strict=True):
                if problem := input_problem(most, text, written, known, task.options.get(text, ())):
                    dropped[problem] += 1
                    continue
                known.add((text, written))
                asked.append(k)
                questions.append(Question(text, written, options=task.options.get(text, ()), task=task.name))
            for k, question, answer in self._answered(task, most, asked, questions, after, dropped):
                found[k] = _written(places[k], question, answer, attempt, self.writer)
            if not most.input:
                break  # an instruction alone is answered in one way
        return [found[k] for k in sorted(found)], dropped

    def _inputs(
        self, task: Described, most: Most, texts: Sequence[str], rng: np.random.Generator, write: Answers | None
    ) -> list[str]:
        """One text for each instruction; empty where the task has no inputs."""
        letters = [LETTERS[k] for k in rng.integers(len(LETTERS), size=len(texts))]
        if not most.input or write is None:
            return [""] * len(texts)
        # The adapter wasn't taught with use cases: it knows the task's inputs themselves.
        cases = task.use_cases if self.small_learner is None else ()
        drawn = [cases[k] for k in rng.integers(len(cases), size=len(texts))] if cases else [None] * len(texts)
        prompts = [
            writing_prompt(most.input, letter, text, case)
            for text, letter, case in zip(texts, letters, drawn, strict=True)
        ]
        return _asked(write, [Question(prompt) for prompt in prompts], most.input)

    def _answered(
        self,
        task: Described,
        most: Most,
        places: Sequence[int],
        questions: Sequence[Question],
        after: LossesAfter,
        dropped: Counter[str],
    ) -> list[tuple[int, Question, str]]:
        """The questions whose answers can be used, with their places; the others are counted."""
        fit = []
        for place, question, answer in zip(
            places, questions, _asked(self.answers, questions, most.answer), strict=True
        ):
            if problem := answer_problem(most, question, answer, task.answer_format):
                dropped[problem] += 1
            else:
                fit.append((place, question, answer))
        if self.likely is None or after.most is None or not fit:
            return fit
        losses = after([question for _, question, _ in fit], [answer for _, _, answer in fit])
        kept = [one for one, loss in zip(fit, losses, strict=True) if loss <= after.most]
        if len(kept) < len(fit):
            dropped["whose answer the model held unlikely right after the task"] += len(fit) - len(kept)
        return kept


def _asked(answers: Answers, questions: Sequence[Question], words: int) -> list[str]:
    # A word takes few tokens, but a text of other scripts may take many; one that is cut off is mostly too long.
    return [text.strip() for text in answers(questions, 8 + 4 * words)] if questions else []


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


def _as_written(share: TaskShare, written: Sequence[Pick], wanted: int, after: LossesAfter | None) -> TaskShare:
    taken = Counter(pick.example.instruction for pick in written)
    table = tuple(replace(one, picked=taken[one.instruction]) for one in share.instructions)
    facts: dict[str, Any] = {**share.reason, "wanted": wanted}
    if after is not None:
        facts |= {"most_loss": after.most} if after.most is not None else {"likelihood_unchecked": after.missing}
    return replace(share, allocation=len(written), instructions=table, reason=facts)
