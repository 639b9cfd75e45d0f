"""What refiners that ask a language model share: questions about rows, answers kept at once, costs, and fall-backs.

A refiner keeps an `LLMCalls` for each model that it asks and describes each kind of question as a `RowQuestion`:

```python
self._calls = LLMCalls(LLMSettings.read(llm), refiner="tidy", version="1", progress=progress)
for example, said in zip(examples, self._calls.ask(QUESTION, [row_fields(one) for one in examples])):
    yield Refined.keep(example, said.problem) if said.value is None else ...
```
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from inscl.contract import Example
from inscl.contract.seams import NullProgress, Progress
from inscl.errors import Problem
from inscl.llm.costs import Estimate, Spent
from inscl.llm.questions import Questions, filled
from inscl.llm.settings import LLMSettings

__all__ = [
    "CACHE",
    "AskingRefiner",
    "Asks",
    "LLMCalls",
    "Rehearsal",
    "RowQuestion",
    "Said",
    "count_problems",
    "row_fields",
]

T = TypeVar("T")

CACHE = "answers.sqlite"
"""The cache file of refiners; erasing looks into it."""
_REQUEST = {"temperature": 0, "max_tokens": 2048}
_NONCE = 8  # hex digits of a row's marker


@dataclass(frozen=True)
class RowQuestion(Generic[T]):
    """One kind of question that a refiner asks about rows.

    Attributes:
        name: What it is about, as in ``instruction``; part of the cache's key.
        template: The prompt. ``{name}`` stands for a field of the row, and ``{nonce}`` for a word that the row can't
            contain, since it is made from a digest of the row: markers and fences with it can't be forged by data.
        parse: From an answer and the nonce to a value; raises ValueError with what is wrong, for the model to read.
        repeat: What is said to an answer that can't be read; ``{reason}`` in it is what is wrong.
        answer_tokens: Tokens of a usual answer, for the estimate.
        guess: From a row to a value like those that are read from answers, for estimates of what is asked next.
    """

    name: str
    template: str
    parse: Callable[[str, str], T]
    repeat: str = "That can't be used: {reason}. Answer again, in exactly the form that was asked for."
    answer_tokens: int = 300
    guess: Callable[[Mapping[str, str]], T] | None = None


@dataclass(frozen=True)
class Said(Generic[T]):
    """What a model said about a row.

    Attributes:
        value: What was read from its answer; None if it gave no usable answer.
        problem: Why there is none, as a line to be read; empty otherwise.
        facts: For provenance: ``model`` and ``prompt``, the digest of the question's template.
    """

    value: T | None
    problem: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reply:
    """An answer as it is kept: its text, or why there is none; and the row that it is about, so that erasing finds it.

    Attributes:
        text: The usable answer.
        problem: What is wrong with both answers.
        about: The fields of the row.
    """

    text: str
    problem: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        return json.dumps([self.text, self.problem, dict(self.about)], ensure_ascii=False).encode(
            errors="surrogatepass"
        )

    @classmethod
    def decode(cls, value: bytes) -> _Reply:
        return cls(*json.loads(value.decode(errors="surrogatepass")))


class Asks(Protocol):
    """What answers questions about rows: `LLMCalls`, or its `Rehearsal`."""

    def ask(self, question: RowQuestion[T], rows: Sequence[Mapping[str, str]]) -> list[Said[T]]:
        """One answer for each row, in order."""
        ...


class LLMCalls:
    """One language model with everything that a refiner asks of it.

    Each distinct question is asked once, ever: its answer is on disk before the next one is read, and so is the fact
    that two answers couldn't be used. The estimate is told to `progress` before anything is asked.

    Args:
        settings: The model and how it is asked.
        refiner: The refiner's name, for messages and the cache's key.
        version: Of its method.
        request: Fields of the request body, over ``{"temperature": 0, "max_tokens": 2048}``.
        progress: Told the estimate first, then every answer.

    Raises:
        ConfigError: A field that only a server obeys was given for a local model.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    def __init__(
        self,
        settings: LLMSettings,
        *,
        refiner: str,
        version: str,
        request: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.settings, self.refiner, self.version = settings, refiner, version
        self.progress = progress or NullProgress()
        self.model = settings.chat_model({**_REQUEST, **(request or {})})
        self._asked: dict[str, Questions[_Reply]] = {}

    @cached_property
    def fingerprint(self) -> str:
        """The model and everything of the request that decides an answer; not the address."""
        return self.model.fingerprint

    @property
    def spent(self) -> Spent:
        """What was asked so far."""
        return sum((questions.spent for questions in self._asked.values()), Spent())

    def estimate(self, question: RowQuestion[T], rows: Sequence[Mapping[str, str]]) -> Estimate:
        """What asking this about these rows would take now, without what the cache holds already."""
        return self._questions(question).estimate([_key(row) for row in rows])

    def known(self, question: RowQuestion[T], rows: Sequence[Mapping[str, str]]) -> list[Said[T] | None]:
        """What is known already about each row; None for what would be asked."""
        keys, facts = [_key(row) for row in rows], self._facts(question)
        found = self._questions(question).known(keys)
        return [_said(question, key, found[key], facts) if key in found else None for key in keys]

    def ask(self, question: RowQuestion[T], rows: Sequence[Mapping[str, str]]) -> list[Said[T]]:
        """Ask a question about each row; equal rows share an answer.

        Args:
            question: What is asked.
            rows: The fields of each row, texts by name.

        Returns:
            One for each row, in order. A row whose two answers can't be used, or that is too long for the model, has a
            `problem` instead of a value.

        Raises:
            EndpointError: The model can't be asked. The answers that came are kept, and the same call goes on from
                them.
            WorkspaceError: The cache can't be written.
        """
        keys, questions = [_key(row) for row in rows], self._questions(question)
        found = questions.known(keys)
        if missing := [key for key in dict.fromkeys(keys) if key not in found]:
            # Where another process asks the same, its answers are taken over: they may be paid for.
            with questions.kept.alone():
                found |= questions.ask(missing)
        facts = self._facts(question)
        return [_said(question, key, found[key], facts) for key in keys]

    def _facts(self, question: RowQuestion[T]) -> Mapping[str, Any]:
        prompt = hashlib.sha256(question.template.encode()).hexdigest()[:16]
        return {"model": self.model.name, "prompt": prompt}

    def _questions(self, question: RowQuestion[T]) -> Questions[_Reply]:
        if question.name not in self._asked:
            self._asked[question.name] = Questions(
                model=self.model,
                kind=f"{self.refiner}/{self.version}/{question.name}",
                prompt=lambda key: _prompt(question.template, key),
                parse=_Reply,
                parse_for=lambda key: _checked(question, key),
                fallback=lambda problem: _Reply("", problem or "no usable answer came"),
                encode=_Reply.encode,
                decode=_Reply.decode,
                repeat=question.repeat,
                doing=f"{self.refiner} ({question.name})",
                remedy="the same command goes on from there",
                answer_tokens=question.answer_tokens,
                progress=self.progress,
                **self.settings.asking(CACHE),
            )
        return self._asked[question.name]


class Rehearsal:
    """Stands in for `LLMCalls` in an estimate: asks nobody, and adds up what asking would take.

    A refiner whose questions depend on earlier answers takes the same way as when it asks. What the cache holds is
    answered as it will be; for the rest each question's `guess` stands in.

    Args:
        calls: Whose place it takes.
    """

    def __init__(self, calls: LLMCalls) -> None:
        self.calls, self.estimate = calls, Estimate()
        self._counted: set[tuple[str, str]] = set()

    def ask(self, question: RowQuestion[T], rows: Sequence[Mapping[str, str]]) -> list[Said[T]]:
        """What is known or guessed about each row, in order."""
        new = {(question.name, _key(row)): row for row in rows}
        new = {key: row for key, row in new.items() if key not in self._counted}
        self._counted |= new.keys()
        self.estimate += self.calls.estimate(question, list(new.values()))
        assert question.guess is not None, f"the question {question.name} has no guess"
        facts = self.calls._facts(question)
        known = self.calls.known(question, rows)
        return [one or Said(question.guess(row), "", facts) for one, row in zip(known, rows, strict=True)]


class AskingRefiner:
    """Base of refiners that ask one language model: calls, costs, and estimates that go the same way as the work.

    A subclass has `_work`, which does everything that asks, with whatever answers. Its constructor names all parameters
    and passes on these.

    Args:
        name: The refiner's name.
        llm: The model: a name, or a mapping with the fields of `LLMSettings`.
        progress: Told the estimate first, then every answer.

    Raises:
        ConfigError: A field of the model can't be used; all of them at once.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    questions: ClassVar[str] = "1"
    """Version of what is asked: while it stays, answers that were paid for serve later versions of the method."""

    def __init__(self, name: str, llm: Any, progress: Progress | None = None) -> None:
        self._calls = LLMCalls(LLMSettings.read(llm), refiner=name, version=self.questions, progress=progress)

    @property
    def spent(self) -> Spent:
        """What asking took so far."""
        return self._calls.spent

    def estimate(self, examples: Sequence[Example]) -> Estimate:
        """What refining these would take at most, without what is known already; what isn't known is guessed."""
        rehearsal = Rehearsal(self._calls)
        self._work(examples, rehearsal)
        return rehearsal.estimate

    def _work(self, examples: Sequence[Example], calls: Asks) -> Any:
        raise NotImplementedError


def count_problems(**given: tuple[Any, int]) -> list[Problem]:
    """Parameters that are no whole number of at least so much, by name: (value, least)."""
    return [
        Problem(name, f"a whole number of {least} or more was expected: {value!r}")
        for name, (value, least) in given.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < least
    ]


def row_fields(example: Example) -> dict[str, str]:
    """The fields by which questions name the parts of a row: ``instruction``, ``input`` and ``output``."""
    return {"instruction": example.instruction, "input": example.input, "output": example.output}


def _key(row: Mapping[str, str]) -> str:
    return json.dumps(dict(row), ensure_ascii=False, sort_keys=True)


def _nonce(key: str) -> str:
    """A row that held its own digest would have another one."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:_NONCE]


def _prompt(template: str, key: str) -> str:
    # Of the empty key, only the template's own words count: they are what the cache's key is made of.
    if not key:
        return template
    return filled(template, {**json.loads(key), "nonce": _nonce(key)})


def _checked(question: RowQuestion[T], key: str) -> Callable[[str], _Reply]:
    def parse(answer: str) -> _Reply:
        question.parse(answer, _nonce(key))
        return _Reply(answer, about=json.loads(key))

    return parse


def _said(question: RowQuestion[T], key: str, reply: _Reply, facts: Mapping[str, Any]) -> Said[T]:
    if reply.problem:
        return Said(None, reply.problem, facts)
    try:
        return Said(question.parse(reply.text, _nonce(key)), "", facts)
    except ValueError as problem:  # the cache's file was changed by somebody else
        return Said(None, str(problem), facts)
