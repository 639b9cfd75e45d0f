"""Tags without a network: the actions an instruction commands, and the noun phrases it is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from inscl.contract.traits import TaggerTraits
from inscl.tagging.lexicon import (
    ACTIONS,
    AMBIGUOUS,
    BOILERPLATE,
    BOUNDARIES,
    COMMON,
    CUES,
    MODIFIERS,
    QUANTITIES,
    VERBS,
)
from inscl.tagging.normalise import lemma

__all__ = ["KeyphraseTagger"]

_EXAMPLE = re.compile(r"(?:for example|for instance|e\.?g|examples?\b|here is an)")
_TASK = re.compile(
    r"\b(?:your (?:task|job|goal)|the (?:task|goal) is|you (?:need|should|must|have|are asked|are expected))\b"
)
_CAUTION = re.compile(r"(?:please )?(?:do not|don't|avoid|never|make sure|note that|ensure|remember)\b")
# Each pattern after texts of which at least one is in all that it matches, and before what it shows.
_ASIDES = (
    (("(", "[", "<"), re.compile(r"\([^()]{0,400}\)|\[[^\[\]]{0,400}\]|<[^<>]{0,60}>"), ""),
    (('"', "“", "'", "`"), re.compile(r'"[^"\n]{0,120}"|“[^”\n]{0,120}”|(?<!\w)[\'`][^\'`\n]{0,80}[\'`](?!\w)'), ""),
    (
        ("such as", "for example", "e.g.", "i.e."),
        re.compile(r"\b(?:such as|for example|e\.g\.|i\.e\.)[^.;]*"),
        "",
    ),
)
_Pattern = tuple[tuple[str, ...], re.Pattern[str], str]
_ENDS = re.compile(r"(?<=[.!?;])\s+|\n+")
_WORD = re.compile(r"\w")
# A word, its combining marks in it; or else one mark, or a number with what hangs on it.
_TOKEN = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0900-\u0dff])*(?:['-][^\W\d_]+)*|[^\s\w]|[\d_]\w*")
# The same of lower-case ASCII, which takes half the time.
_PLAIN_TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*|[^\s\w]|[\d_]\w*")
_QUALIFYING = re.compile(r".{3,}(?:ible|ous|ful|less|ical)|.{4,}[^t]able|.{3,}ed")
_NEGATIONS = frozenset(("not", "don't", "avoid", "never", "without", "cannot", "can't"))
_SEE_THROUGH = frozenset(("give", "provide", "follow", "answer"))  # "classify the GIVEN tweet"
_DETERMINERS = frozenset(("a", "an", "the", "each", "all", "your", "whether", "if", "which"))
_NO_OBJECT = frozenset(("of", "is", "are", "was", "were", "can", "may", "will", "should", "must"))  # never after a verb

_FAINT = 0.4  # a coarse intention that weighs less was mentioned in passing
_LONGEST_TEXT = 20_000  # characters; a longer instruction says what it wants at its start
_LONGEST_WORD = 40  # characters; what is longer is code, an address or a script without spaces
_LONGEST_PHRASE = 3  # words

# From so many instructions on, each core has a process: fewer are tagged before the processes have begun.
_WORTH_PROCESSES = 20_000
_CHUNK = 2_000


@dataclass(frozen=True)
class _Command:
    verb: str
    intention: str
    target: str
    weight: float


class KeyphraseTagger:
    """Keyphrases as intentions, offline: coarse ones, verbs with their objects, and the most informative noun phrases.

    Looks at one instruction at a time, so that its tags never depend on the stream, and gives the same tags always.
    Stands in for the LLM of the paper where there is none (`inscl.tagging.llm`). Made for English; in another
    language only the noun phrases remain, and they are cruder.

    Args:
        phrases: Most noun phrases an instruction.
        pairs: Most verb-object pairs an instruction.
        intentions: Most coarse intentions an instruction.

    Attributes:
        fingerprint: Method, version and settings.
    """

    traits = TaggerTraits(at_once=1 << 17)

    def __init__(self, phrases: int = 4, pairs: int = 2, intentions: int = 3) -> None:
        self.phrases, self.pairs, self.intentions = phrases, pairs, intentions
        self._settings = phrases, pairs, intentions
        self.fingerprint = f"keyphrases/1 phrases={phrases} pairs={pairs} intentions={intentions}"

    def __call__(self, instructions: Sequence[str]) -> list[list[str]]:
        """Tags of each instruction, in the same order; each once, most often 4 to 8, none where there are no words."""
        if len(instructions) < _WORTH_PROCESSES:
            return [self._tag(instruction) for instruction in instructions]
        from sklearn.utils.parallel import Parallel, delayed

        parts = [instructions[start : start + _CHUNK] for start in range(0, len(instructions), _CHUNK)]
        made = Parallel(n_jobs=-1)(delayed(KeyphraseTagger(*self._settings))(list(part)) for part in parts)
        return [tags for part in made for tags in part]

    def _tag(self, instruction: str) -> list[str]:
        text = instruction[:_LONGEST_TEXT].replace("’", "'")
        coarse: dict[str, float] = defaultdict(float)
        phrases: dict[str, float] = defaultdict(float)
        commands: list[_Command] = []
        cues, asides = _possible(CUES, text.casefold()), _possible(_ASIDES, text)
        for sentence, lowered, weight in _sentences(text):
            for intention in {cue[2] for cue in cues if cue[1].search(lowered)}:
                coarse[intention] += weight
            for aside in asides:  # quoted labels and examples are no matter
                sentence = aside[1].sub(" , ", sentence)
            words = _words(sentence)
            commanded = [word in ACTIONS and _is_commanded(words, position) for position, word in enumerate(words)]
            runs = list(_runs(words, commanded))
            found = list(_commands(words, commanded, runs, weight))
            commands += found
            for phrase in _phrases(words, runs):
                phrases[phrase] += weight * (2.0 if found else 1.0)
        commands.sort(key=lambda command: -command.weight)
        for command in commands[:2]:
            coarse[command.intention] += command.weight
        clear = [name for name in sorted(coarse, key=lambda name: (-coarse[name], name)) if coarse[name] >= _FAINT]
        pairs = [f"{command.verb} {command.target}" for command in commands if command.target]
        return _first([*_first(clear, self.intentions), *_first(pairs, self.pairs), *_telling(phrases, self.phrases)])


def _sentences(text: str) -> Iterator[tuple[str, str, float]]:
    """Sentences, also in lower case, with their weights: the first, and those that say what the task is, weigh most."""
    position = 0
    for sentence in _ENDS.split(text):
        folded = sentence.casefold()
        lowered = folded.strip()
        if _WORD.search(lowered) and not _EXAMPLE.match(lowered):
            weight = 1.0 / (1.0 + 0.35 * position)
            weight *= 2.0 if _TASK.search(lowered) else 1.0
            weight *= 0.3 if _CAUTION.match(lowered) else 1.0
            position += 1
            yield sentence, folded, weight


def _possible(patterns: Sequence[_Pattern], text: str) -> list[_Pattern]:
    """Those patterns of which the text has a hint: no other can match in it."""
    found = []
    for pattern in patterns:
        for hint in pattern[0]:
            if hint in text:
                found.append(pattern)
                break
    return found


def _words(sentence: str) -> list[str]:
    """Words in lower case; "" wherever something else stands between two words."""
    if sentence.isascii():
        return [token if token[0].isalpha() else "" for token in _PLAIN_TOKEN.findall(sentence.lower())]
    tokens = _TOKEN.findall(sentence)
    return [token.casefold() if token[0].isalpha() else "" for token in tokens]


@lru_cache(maxsize=1 << 16)
def _is_boundary(word: str) -> bool:
    if not 0 < len(word) <= _LONGEST_WORD or word.split("'")[0] in BOUNDARIES:
        return True
    if word.endswith("ly") and len(word) > 5:  # an adverb
        return word not in ("family", "anomaly", "assembly", "supply")
    base = lemma(word)
    return base in BOUNDARIES or base in VERBS or (base in ACTIONS and base != word and word.endswith(("ing", "ed")))


def _runs(words: Sequence[str], commanded: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Start and end of each run of words without a boundary or a command."""
    start = 0
    for position, word in enumerate(words):
        if _is_boundary(word) or commanded[position]:
            if position > start:
                yield start, position
            start = position + 1
    if len(words) > start:
        yield start, len(words)


def _phrases(words: Sequence[str], runs: Sequence[tuple[int, int]]) -> Iterator[str]:
    for start, stop in runs:
        if phrase := _phrase(tuple(words[start:stop])):
            yield phrase


@lru_cache(maxsize=1 << 16)
def _phrase(words: tuple[str, ...]) -> str:
    """The noun phrase of a run of words; empty where it tells nothing."""
    phrase = _trim(words)
    if all(lemma(word) in BOILERPLATE for word in phrase) or (len(phrase) == 1 and phrase[0] in ACTIONS):
        return ""
    return " ".join(phrase)


@lru_cache(maxsize=1 << 16)
def _qualifies(word: str) -> bool:
    return lemma(word) in MODIFIERS or _QUALIFYING.fullmatch(word) is not None


@lru_cache(maxsize=1 << 16)
def _trim(words: tuple[str, ...]) -> Sequence[str]:
    """A noun phrase of at most three words: qualifiers cut off at both ends, its last word in base form."""
    phrase = [word.split("'")[0] for word in words if len(word) > 1]
    while phrase and _qualifies(phrase[-1]):
        phrase.pop()
    while phrase and lemma(phrase[0]) in MODIFIERS:
        phrase.pop(0)
    return [*phrase[-_LONGEST_PHRASE:-1], lemma(phrase[-1])] if phrase else []


def _is_commanded(words: Sequence[str], position: int) -> bool:
    """Whether the word there is a verb of action in a place where a command can stand."""
    word = words[position]
    if word not in ACTIONS or _NEGATIONS & set(words[max(0, position - 3) : position]):
        return False
    before = words[position - 1] if position else ""
    if before in ("to", "should", "must", "please", "then"):
        return True
    after = words[position + 1] if position + 1 < len(words) else ""
    starts = before in ("", "and", "or", "you", "now")
    if word in AMBIGUOUS:  # a noun too, as "label" or "order": only with something to act on
        return starts and _is_boundary(after) and after not in _NO_OBJECT
    return starts or before.endswith("ly") or after in _DETERMINERS


def _commands(
    words: Sequence[str], commanded: Sequence[bool], runs: Sequence[tuple[int, int]], weight: float
) -> Iterator[_Command]:
    for position in range(len(words)):
        if commanded[position]:
            verb, intention = ACTIONS[words[position]]
            yield _Command(verb, intention, _target(words, position, runs), weight)


def _target(words: Sequence[str], position: int, runs: Sequence[tuple[int, int]]) -> str:
    """What the verb at `position` acts on: the head of the next noun phrase, past "number of" and its like."""
    for start, stop in runs:
        if start <= position:
            continue
        between = words[position + 1 : start]
        verbs = (lemma(word) in VERBS - _SEE_THROUGH or word in ACTIONS for word in between)
        if between[:1] == ["with"] or len(between) > 7 or any(verbs):
            return ""
        phrase = _trim(tuple(words[start:stop]))
        if phrase and not (phrase[-1] in QUANTITIES and stop < len(words) and words[stop] == "of"):
            return "" if phrase[-1] in BOILERPLATE else phrase[-1]
    return ""


def _telling(scores: Mapping[str, float], count: int) -> list[str]:
    """The best phrases, none of them part of another that was taken."""

    def value(phrase: str) -> float:
        words = phrase.split()
        plain = sum(word in BOILERPLATE or word in COMMON for word in words) / len(words)
        return scores[phrase] * (1.6 if len(words) > 1 else 1.0) * (1.0 - 0.5 * plain)

    taken: list[str] = []
    for phrase in sorted(scores, key=lambda phrase: (-value(phrase), phrase)):
        words = set(phrase.split())
        if len(taken) < count and not any(words <= set(o.split()) or words >= set(o.split()) for o in taken):
            taken.append(phrase)
    return taken


def _first(tags: Iterable[str], count: int | None = None) -> list[str]:
    return list(dict.fromkeys(tag for tag in tags if tag))[:count]
