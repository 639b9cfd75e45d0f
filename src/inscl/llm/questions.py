"""Many questions to one model: each distinct question is asked only once, and every answer is saved at once."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from inscl.contract.chat import ChatModel, Messages
from inscl.contract.encodable import encodable
from inscl.contract.seams import NullProgress, Progress
from inscl.data.quoting import excerpt
from inscl.errors import EndpointError, TooLongError
from inscl.llm.costs import BYTES_A_TOKEN, Estimate, Prices, Spent
from inscl.llm.in_flight import in_flight
from inscl.llm.kept_answers import KeptAnswers, kept_answers

__all__ = ["Questions", "filled"]

T = TypeVar("T")

_SHOWN_AGAIN = 2000  # characters of an answer that can't be used, in the conversation that asks for another


@dataclass
class Questions(Generic[T]):
    """Asks a model, reads its answers, and remembers them on disk.

    An answer that can't be read is asked for exactly once more, with what was wrong with it. The cache knows an answer
    by model, request, kind and prompt, not by address: the same model behind another address is the same.

    Attributes:
        model: Who is asked.
        kind: What the answers are: part of the cache's key, as in ``tags/2``.
        prompt: From a key (the text by which an answer is known) to the question.
        parse: From an answer to a value; raises ValueError with what is wrong, for the model to read.
        encode: From a value to bytes.
        decode: The inverse.
        repeat: What is said to an answer that can't be read; ``{reason}`` in it is what is wrong.
        doing: What messages call the work, as in "tagging".
        remedy: What to do when a question gets no usable answer.
        cache: The cache file; None is ``answers.sqlite`` in the cache folder.
        concurrency: Concurrent requests.
        answer_tokens: Tokens of a usual answer, for the estimate.
        prices: For the estimate, and for what was spent.
        progress: Told the estimate first, then every answer.
        parse_for: From a key to its own `parse`, where it depends on the question what a usable answer is.
        fallback: From what is wrong with both answers, or with a question that is too long for the model, to the value
            that such a question gets; without it, the call ends with an error. What was answered is remembered like any
            other value, so that it isn't paid for again.
        spent: What this object has asked so far.
    """

    model: ChatModel
    kind: str
    prompt: Callable[[str], str]
    parse: Callable[[str], T]
    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]
    repeat: str
    doing: str
    remedy: str
    cache: Path | None = None
    concurrency: int = 4
    answer_tokens: int = 100
    prices: Prices = field(default_factory=Prices)
    progress: Progress = field(default_factory=NullProgress)
    parse_for: Callable[[str], Callable[[str], T]] | None = None
    fallback: Callable[[str], T] | None = None
    spent: Spent = field(default_factory=Spent, init=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """What decides an answer besides the key: model, request, kind, and how a question is put."""
        asked = hashlib.sha256(encodable(f"{self.prompt('')}\0{self.repeat}").encode()).hexdigest()[:16]
        return f"{self.kind} {self.model.fingerprint} {asked}"

    def known(self, keys: Sequence[str]) -> dict[str, T]:
        """The answers that are on disk, by key; asks nobody."""
        return {key: self.decode(value) for key, value in self.kept.get(keys).items()}

    def estimate(self, keys: Sequence[str]) -> Estimate:
        """What asking these would take now, without what the cache holds already."""
        known = self.kept.get(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        read = sum(len(encodable(self.prompt(key)).encode()) for key in missing) // BYTES_A_TOKEN
        written = self.answer_tokens * len(missing)
        return Estimate(len(missing), read, written, self.prices.of(read, written))

    def ask(self, keys: Sequence[str]) -> dict[str, T]:
        """The answer to every key; each distinct one is asked once, ever.

        Raises:
            EndpointError: The model can't be asked, or answers one twice with something that can't be read. The answers
                that came are kept, and the same call goes on from them.
            KeyboardInterrupt: The first one lets the answers that are on their way come and keeps them; a second one
                ends at once.
            WorkspaceError: The cache can't be written.
        """
        found = self.known(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            self.progress.note(f"{self.doing} by {self.model.name}: {self.estimate(missing)}")
            self.progress.phase(self.doing, len(missing))
            # Closed at once: whoever handles an interrupt may hold on to this frame, and threads would go on asking.
            with closing(in_flight(self.model, missing, self._one, self.concurrency, self._tell)) as answers:
                for done, (key, value) in enumerate(answers, start=1):
                    found[key] = value
                    self.progress.advance(done)
        return found

    def _tell(self, said: str) -> None:
        self.progress.note(f"{self.doing}: {said}")

    @property
    def kept(self) -> KeptAnswers:
        """Where answers are kept."""
        return kept_answers(self.cache, self.fingerprint)

    def _one(self, key: str) -> T:
        try:
            value = self._answered(key)
        except TooLongError as error:
            if self.fallback is None:
                raise
            return self.fallback(str(error))  # nothing was paid, so nothing is kept
        self.kept.put({key: self.encode(value)})
        return value

    def _answered(self, key: str) -> T:
        """The value of an answer, of the second one, or the fallback."""
        parse = self.parse_for(key) if self.parse_for else self.parse
        messages = [{"role": "user", "content": encodable(self.prompt(key))}]
        answer = self._complete(messages)
        try:
            return parse(answer)
        except ValueError as problem:
            # The model's own answer too may hold half a character, which no request can carry.
            said, again = answer[:_SHOWN_AGAIN], self.repeat.replace("{reason}", str(problem))
        messages += [
            {"role": "assistant", "content": encodable(said)},
            {"role": "user", "content": encodable(again)},
        ]
        try:
            return parse(self._complete(messages))
        except ValueError as still:
            if self.fallback is not None:
                return self.fallback(str(still))
            raise EndpointError(
                f"{self.doing} by {self.model.name}: it answered twice with something that can't be used "
                f"({still}), asked about {excerpt(key, 100)}. The answers to others are kept; {self.remedy}"
            ) from None

    def _complete(self, messages: Messages) -> str:
        """Ask, and count what it took."""
        done = self.model.complete(messages)
        read, written = done.tokens or (
            sum(len(turn["content"].encode()) for turn in messages) // BYTES_A_TOKEN,
            len(encodable(done.text).encode()) // BYTES_A_TOKEN,
        )
        with self._counting:
            self.spent += Spent(1, read, written, self.prices.of(read, written))
        return done.text


def filled(prompt: str, parts: Mapping[str, str]) -> str:
    r"""A prompt with each ``{name}`` of `parts` replaced by data that can neither name another part nor end its own.

    All are replaced at once, so data that contains ``{name}`` stays as it is. Where a field has a line of the prompt to
    itself, the lines around it are its fence (``<answer>`` and ``</answer>``); a fence within data gets a backslash
    before it, in upper or lower case.
    """
    names = "|".join(map(re.escape, parts))
    found = _fences(prompt, names)
    fences = re.compile("|".join(map(re.escape, found)), re.IGNORECASE)
    data = {name: fences.sub(r"\\\g<0>", text) if found else text for name, text in parts.items()}
    return re.sub(rf"\{{({names})\}}", lambda match: data[match[1]], prompt)


def _fences(prompt: str, names: str) -> list[str]:
    """The lines right before and after each field that has a line to itself; the longest first."""
    lines = [line.strip() for line in prompt.split("\n")]
    alone = [place for place, line in enumerate(lines) if re.fullmatch(rf"\{{({names})\}}", line)]
    around = {lines[near] for place in alone for near in (place - 1, place + 1) if 0 <= near < len(lines)}
    around -= {"", *(lines[place] for place in alone)}
    return sorted(around, key=lambda line: (-len(line), line))
