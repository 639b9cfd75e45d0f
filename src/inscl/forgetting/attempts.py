"""Whether an answer attempts what was asked, by the labels and the format of reference answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from inscl.contract import Example
from inscl.errors import UserError
from inscl.forgetting.formats import AnswerFormats

__all__ = ["AttemptCheck", "Verdict"]

_REPEATS = 3  # references a label, on average, from which on an instruction's labels count as a closed set
_MOST_LABELS = 20
_LONGEST_LABEL = 6  # words
_ENOUGH = 6  # references from which on an instruction's format is judged by itself
_MOST_READ = 48  # references an instruction that the formats are learned from
_ECHO = 5  # words in a row, from which on a copy from the instruction is an echo


@dataclass(frozen=True)
class Verdict:
    """What the check says of one answer.

    Attributes:
        related: Whether the answer attempts what was asked (*instruction-related*).
        looks_like: The task whose answers it looks like; its own where it is related. An unrelated answer may look
            like another instruction of its own task. None for an empty answer and for an echo.
        reason: What decided: "empty", "label", "echo" or "format".
    """

    related: bool
    looks_like: str | None
    reason: str


class AttemptCheck:
    """Tells instruction-related answers from unrelated ones by the reference answers of a stream.

    InsCL (section 4.5) sorts forgotten cases into instruction-related and instruction-unrelated; how was not found in
    what could be read, so this rule is a reconstruction. An answer is judged in this order:

    1. Empty: unrelated.
    2. The same as one of the case's own references, or as any reference of its instruction (case and punctuation at
       the ends aside): related.
    3. The instruction has a *closed label set* (each of at most 20 distinct references, none longer than 6 words,
       occurs 3 times or more on average): related if the answer begins or ends with a label, otherwise unrelated.
    4. More than half of its words, and at least 5, are one passage of the instruction: an echo, unrelated.
    5. Otherwise by format: `AnswerFormats` over instructions if this one has at least 6 references, else over tasks.

    It sees whether an answer is of the right *kind*. A wrong answer of the right kind is related, however it came
    about, and a sensible answer in an unusual form can be called unrelated.

    Args:
        examples: Train examples with their tasks, of two tasks or more.

    Raises:
        UserError: The examples that have a reference with text are of fewer than two tasks.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        self._answers: dict[str, list[str]] = defaultdict(list)
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for example in examples:
            self._answers[example.instruction].extend(text for text in example.outputs if text.strip())
            counts[example.instruction][example.task] += 1
        # An instruction that two tasks share counts to the one that has more of it.
        self._task_of = {text: tasks.most_common(1)[0][0] for text, tasks in counts.items()}
        # A task whose every reference is blank has nothing that an answer could look like.
        tasks = {self._task_of[text] for text, answers in self._answers.items() if answers}
        if len(tasks) < 2:
            raise UserError(
                "answers can be told apart by task only where there are two tasks or more; the reference answers "
                f"with text that are given are of {len(tasks)}"
            )

    def __call__(self, answer: str, task: str, instruction: str, references: Sequence[str] = ()) -> Verdict:
        """Judge one answer.

        Args:
            answer: What the model said.
            task: The task that was asked.
            instruction: What was asked; one never seen in training is judged by its task's format.
            references: The right answers of this case.
        """
        said = _bare(answer)
        if not said:
            return Verdict(False, None, "empty")
        known = self._answers.get(instruction, [])
        if said in {_bare(text) for text in (*references, *known)}:
            return Verdict(True, task, "label")
        formats, own, tasks = self._formats(task, instruction)
        fits, other = formats.fits(answer, own)
        labels = self.labels(instruction)
        if labels:
            named = any(f" {said} ".startswith(f" {label} ") or f" {said} ".endswith(f" {label} ") for label in labels)
            return Verdict(named, task if named else tasks[other], "label")
        if _echoes(said, _bare(instruction)):
            return Verdict(False, None, "echo")
        return Verdict(fits, task if fits else tasks[other], "format")

    def labels(self, instruction: str) -> frozenset[str]:
        """The closed label set of an instruction, bare and in lower case; empty where it has none."""
        counts = Counter(map(_bare, self._answers.get(instruction, [])))
        short = all(len(label.split()) <= _LONGEST_LABEL for label in counts)
        closed = short and len(counts) <= _MOST_LABELS and counts.total() >= max(_ENOUGH, _REPEATS * len(counts))
        return frozenset(counts) if closed else frozenset()

    def _formats(self, task: str, instruction: str) -> tuple[AnswerFormats[str], str, Mapping[str, str]]:
        """What judges an answer: the formats, the class it should be of, and the task of every class."""
        if self._by_instruction is not None and instruction in self._by_instruction:
            return self._by_instruction, instruction, self._task_of
        # The instructions of a task that another one shares may all count to that one.
        own = task if task in self._by_task else self._task_of.get(instruction)
        if own is None or own not in self._by_task:
            raise UserError(f"no reference answers of the task {task!r} are known; give a stream that has it")
        return self._by_task, own, {name: name for name in self._by_task.labels}

    @cached_property
    def _by_instruction(self) -> AnswerFormats[str] | None:
        pairs = [
            (text, instruction)
            for instruction, answers in self._answers.items()
            if len(answers) >= _ENOUGH
            for text in answers[:_MOST_READ]
        ]
        distinct = {instruction for _, instruction in pairs}
        return AnswerFormats(*zip(*pairs, strict=True)) if len(distinct) > 1 else None

    @cached_property
    def _by_task(self) -> AnswerFormats[str]:
        pairs = [
            (text, self._task_of[instruction])
            for instruction, answers in self._answers.items()
            for text in answers[:_MOST_READ]
        ]
        return AnswerFormats(*zip(*pairs, strict=True))


def _echoes(said: str, instruction: str) -> bool:
    answer, asked = said.split(), instruction.split()
    passage = SequenceMatcher(None, answer, asked, autojunk=False).find_longest_match().size
    return passage >= _ECHO and passage > len(answer) / 2


def _bare(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .,:;!?\"'`()[]")
