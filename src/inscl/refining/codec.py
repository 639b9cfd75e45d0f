"""CodecLM: rows are encoded as use case and skills, new instructions are decoded from those, and filtered."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.contract.seams import Progress
from inscl.contract.traits import RefinerTraits
from inscl.errors import ConfigError, Problem
from inscl.llm.costs import Estimate, Spent
from inscl.llm.settings import LLMSettings
from inscl.refining import codec_questions as questions
from inscl.refining.llm_refiner import Asks, LLMCalls, Rehearsal, count_problems
from inscl.refining.pair_judge import quality_gaps
from inscl.refining.written import answers_itself, badly_written, left_alone, plain

__all__ = ["Codec"]

_MOST_SKILLS = 3


@dataclass(frozen=True)
class _Metadata:
    """A use case with skills.

    Attributes:
        use_case: What a text is for.
        skills: What answering takes.
        seeds: Places of the rows that they come from; that of the use case first.
    """

    use_case: str
    skills: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass
class _Candidate:
    """An instruction on its way through the rounds.

    Attributes:
        metadata: What it was decoded from.
        instruction: As it is.
        actions: What was done with it, one a round.
    """

    metadata: _Metadata
    instruction: str
    actions: list[str] = field(default_factory=list)


@dataclass
class _Work:
    """What comes of the rows of a task: by place what was made, and what came to nothing."""

    rows: Sequence[Example]
    made: defaultdict[int, list[Made]] = field(default_factory=lambda: defaultdict(list))
    failed: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def fields(self, metadata: _Metadata, **more: str) -> dict[str, str]:
        """A question's fields; the rows that it comes from stand in it, so that erasing one finds the answer."""
        seeds = {f"seed_{number}": self.rows[place].prompt for number, place in enumerate(metadata.seeds, start=1)}
        return {"use_case": metadata.use_case, "skills": ", ".join(metadata.skills), **more, **seeds}

    def drop(self, one: _Candidate, problem: str) -> None:
        self.failed[one.metadata.seeds[0]].append(f"{problem}: {one.instruction}")


class Codec:
    """Add instructions tailored to the model that is to be taught (CodecLM, Wang et al., arXiv 2404.05875).

    *Encode*: a strong model says of rows for which use case they are and which skills an answer takes. Use cases and
    skills are also combined anew. *Decode*: for each combination it writes instructions. *Contrastive Filtering*: the
    strong model and the target answer each instruction, and the strong model scores both answers from 1 to 10, in both
    orders. Where the scores differ by more than `threshold`, the instruction is kept with the better answer.
    *Self-Rubrics*: otherwise the strong model makes it harder by one of the actions that it found for its use case and
    skills, and it is answered and judged again. What is never kept is left out. The algorithm and its defaults follow
    the paper, but for the numbers of rows and combinations; the prompts are our own words.

    Rows stay, and what is made stands after the row that its use case comes from; the rows of its skills are its other
    parents. Conversations, rows with images and choices are not encoded.

    Args:
        llm: The strong model: a name, or a mapping with the fields of `inscl.llm.settings.LLMSettings`.
        target: The model that is to be taught, in the same form.
        seeds: Most rows of a task that are encoded; drawn if there are more.
        metadata: Combinations of a use case and skills for a task (the paper: 200).
        instructions: Instructions for each.
        rounds: Most times that an instruction is judged.
        threshold: How far scores have to differ, 0 or more and below 9.
        seed: Of every draw.
        progress: Told the estimate first, then every answer.

    Raises:
        ConfigError: A value can't be used; all of them at once.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    traits = RefinerTraits(version="2", asks=True)

    def __init__(
        self,
        llm: Any,
        target: Any,
        seeds: int = 20,
        metadata: int = 20,
        instructions: int = 2,
        rounds: int = 4,
        threshold: float = 3.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        counts = {"seeds": seeds, "metadata": metadata, "instructions": instructions, "rounds": rounds}
        problems = count_problems(**{name: (value, 1) for name, value in counts.items()})
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold < 9:
            problems.append(Problem("threshold", f"a number from 0 to below 9 was expected: {threshold!r}"))
        problems += count_problems(seed=(seed, 0))
        if problems:
            raise ConfigError(problems, "refiner codec")
        self.seeds, self.metadata, self.instructions, self.rounds = seeds, metadata, instructions, rounds
        self.threshold, self.seed = float(threshold), seed
        models = [LLMSettings.read(llm), LLMSettings.read(target, "target")]
        self._strong, self._target = (
            LLMCalls(one, refiner="codec", version=questions.VERSION, progress=progress) for one in models
        )

    @property
    def fingerprint(self) -> str:
        """Both models and their requests, and all numbers."""
        numbers = (self.seeds, self.metadata, self.instructions, self.rounds, self.threshold, self.seed)
        return f"{self._strong.fingerprint} {self._target.fingerprint} {numbers}"

    @property
    def spent(self) -> Spent:
        """What asking took so far."""
        return self._strong.spent + self._target.spent

    def estimate(self, examples: Sequence[Example]) -> Estimate:
        """What refining these would take at most: what isn't judged yet counts as if it were judged in every round."""
        strong, target = Rehearsal(self._strong), Rehearsal(self._target)
        self._worked(examples, strong, target)
        return strong.estimate + target.estimate

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        """Make instructions from the rows of a task; see `inscl.contract.seams.Refiner`."""
        work = self._worked(examples, self._strong, self._target)
        for place, example in enumerate(examples):
            made, reason = work.made[place], "; ".join(work.failed[place])
            yield Refined.add(example, *made, reason=reason) if made else Refined.keep(example, reason)

    def _worked(self, examples: Sequence[Example], strong: Asks, target: Asks) -> _Work:
        work = _Work(examples)
        content = "".join(example.id for example in examples)
        rng = np.random.default_rng([self.seed, int(hashlib.sha256(content.encode()).hexdigest()[:16], 16)])
        combined = self._combined(self._encoded(work, strong, rng), rng)
        open_ = self._decoded(work, strong, combined)
        for number in range(1, self.rounds + 1):
            open_ = self._judged(work, strong, target, open_, number)
            if open_ and number < self.rounds:
                open_ = self._harder(work, strong, open_, number)
        return work

    def _encoded(self, work: _Work, strong: Asks, rng: np.random.Generator) -> list[_Metadata]:
        places = {row.prompt: place for place, row in reversed(list(enumerate(work.rows))) if not left_alone(row, "")}
        chosen = sorted(places.values())
        if len(chosen) > self.seeds:
            chosen = [chosen[k] for k in sorted(rng.choice(len(chosen), self.seeds, replace=False).tolist())]
        rows = [{"instruction": work.rows[place].instruction, "input": work.rows[place].input} for place in chosen]
        found = []
        for place, said in zip(chosen, strong.ask(questions.ENCODE, rows), strict=True):
            if said.value is None:
                work.failed[place].append(f"encode: {said.problem}")
            else:
                use_case, skills = said.value
                found.append(_Metadata(use_case, skills, (place,)))
        return found

    def _combined(self, found: Sequence[_Metadata], rng: np.random.Generator) -> list[_Metadata]:
        """As many as asked for: those that were found, and then use cases with skills drawn from all of them."""
        union = {skill: one.seeds[0] for one in reversed(found) for skill in one.skills}
        skills = sorted(union)
        combined = {(one.use_case, one.skills): one for one in found[: self.metadata]}
        for _ in range(20 * self.metadata if found else 0):  # there may be fewer combinations than asked for
            if len(combined) == self.metadata:
                break
            one = found[int(rng.integers(len(found)))]
            count = int(rng.integers(1, min(_MOST_SKILLS, len(skills)) + 1))
            drawn = tuple(skills[k] for k in sorted(rng.choice(len(skills), count, replace=False).tolist()))
            seeds = dict.fromkeys((one.seeds[0], *(union[skill] for skill in drawn)))
            combined.setdefault((one.use_case, drawn), _Metadata(one.use_case, drawn, tuple(seeds)))
        return list(combined.values())

    def _decoded(self, work: _Work, strong: Asks, combined: Sequence[_Metadata]) -> list[_Candidate]:
        rows = [work.fields(one, count=str(self.instructions)) for one in combined]
        taken = {plain(row.prompt) for row in work.rows}
        found = []
        for metadata, said in zip(combined, strong.ask(questions.DECODE, rows), strict=True):
            if said.value is None:
                work.failed[metadata.seeds[0]].append(f"decode: {said.problem}")
            for text in (said.value or ())[: self.instructions]:
                one = _Candidate(metadata, text)
                if problem := self._unusable(work, one, taken):
                    work.drop(one, problem)
                else:
                    taken.add(plain(text))
                    found.append(one)
        return found

    def _unusable(self, work: _Work, one: _Candidate, taken: Set[str]) -> str:
        if plain(one.instruction) in taken:
            return "there is such an instruction already"
        old = (work.rows[place].prompt for place in one.metadata.seeds)
        return badly_written(
            one.instruction, *old, question=f"{questions.DECODE.template} {questions.IMPROVE.template}", least=1
        )

    def _judged(
        self, work: _Work, strong: Asks, target: Asks, open_: Sequence[_Candidate], number: int
    ) -> list[_Candidate]:
        """Keep and drop what is decided; returns what is not."""
        rows = [work.fields(one.metadata, instruction=one.instruction) for one in open_]
        good, weak = strong.ask(questions.STRONG, rows), target.ask(questions.TARGET, rows)
        answers = [(a.value, b.value, a.problem or b.problem) for a, b in zip(good, weak, strict=True)]
        cases = [(row, a or "", b or "") for row, (a, b, _) in zip(rows, answers, strict=True)]
        known = [k for k, (a, b, _) in enumerate(answers) if a is not None and b is not None]
        gaps = dict(zip(known, quality_gaps(strong, [cases[k] for k in known]), strict=True))
        left = []
        for k, one in enumerate(open_):
            gap = gaps[k].value if k in gaps else None
            if gap is None:
                work.drop(one, answers[k][2] or gaps[k].problem)
            elif abs(gap) > self.threshold:
                self._keep(work, one, number, gap, good[k] if gap > 0 else weak[k])
            elif number < self.rounds:
                left.append(one)
            else:
                work.drop(one, f"both models answer about equally well (scores differ by {abs(gap):g})")
        return left

    def _keep(self, work: _Work, one: _Candidate, number: int, gap: float, said: Any) -> None:
        parents = [work.rows[place] for place in one.metadata.seeds]
        old = (one.instruction, *(row.output for row in parents))
        if problem := answers_itself(said.value, one.instruction) or badly_written(said.value, *old, least=1):
            work.drop(one, problem)
            return
        facts = {
            "use_case": one.metadata.use_case,
            "skills": list(one.metadata.skills),
            "actions": one.actions,
            "round": number,
            "gap": gap,
            "answered_by": "strong" if gap > 0 else "target",
            "model": self._strong.model.name,
            "target": self._target.model.name,
            "prompts": questions.digests(),
        }
        made = Example(one.instruction, "", (said.value,), parents[0].task)
        others = tuple(dict.fromkeys(row.id for row in parents[1:] if row.id != parents[0].id))
        work.made[one.metadata.seeds[0]].append(Made(made, "written for a use case and skills", others, facts))

    def _harder(self, work: _Work, strong: Asks, open_: Sequence[_Candidate], number: int) -> list[_Candidate]:
        """The instructions after one action each; what can't be made harder is dropped."""
        left = []
        for one, said in zip(
            open_, strong.ask(questions.RUBRICS, [work.fields(one.metadata) for one in open_]), strict=True
        ):
            if said.value is None:
                work.drop(one, f"rubrics: {said.problem}")
            else:
                one.actions.append(said.value[_drawn(f"{self.seed} {number} {one.instruction}", len(said.value))])
                left.append(one)
        rows = [work.fields(one.metadata, instruction=one.instruction, action=one.actions[-1]) for one in left]
        found = []
        for one, better in zip(left, strong.ask(questions.IMPROVE, rows), strict=True):
            before = one.instruction
            one.instruction = better.value or before
            problem = better.problem or self._unusable(work, one, {plain(before)})
            if problem:
                work.drop(one, f"improve: {problem}")
            else:
                found.append(one)
        return found


def _drawn(text: str, among: int) -> int:
    """A number below `among` that the text decides: the same however often a call is interrupted."""
    return int(hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(), 16) % among
