from __future__ import annotations

import random
import re
from collections import Counter

import numpy as np
import pytest

from inscl.contract import Example
from inscl.contract.example import Image, Turn
from inscl.errors import ConfigError
from inscl.refining.deduplicate import Deduplicate
from inscl.testing import check_refiner


def example(text: str, answer: str = "yes", instruction: str = "Is it so?", **more: object) -> Example:
    return Example(instruction, text, (answer,), "task", **more)  # type: ignore[arg-type]


def outcomes(examples: list[Example], **parameters: object) -> str:
    """One letter for each: k or r."""
    refiner = Deduplicate(**parameters)  # type: ignore[arg-type]
    return "".join(one.outcome[0] for one in refiner.refine(examples))


def cosine(one: str, other: str) -> float:
    """Of the counts of three characters in a row, each word between spaces."""

    def counts(text: str) -> Counter[str]:
        padded = [f" {word} " for word in re.split(r"\s+", text.lower().strip())]
        return Counter(word[k : k + 3] for word in padded for k in range(max(1, len(word) - 2)))

    a, b = counts(one), counts(other)
    return sum(a[key] * b[key] for key in a) / float(np.linalg.norm([*a.values()]) * np.linalg.norm([*b.values()]))


def test_the_contract_is_kept() -> None:
    check_refiner(Deduplicate)


def test_the_first_stays_and_the_other_names_it() -> None:
    rows = [example("the cat sat on the mat today", source="f.jsonl:1"), example("The cat sat on the mat today!")]
    kept, rejected = Deduplicate(threshold=0.8).refine(rows)
    assert (kept.outcome, rejected.outcome) == ("kept", "rejected")
    likeness = cosine(rows[0].input, rows[1].input)
    assert rejected.facts == {"duplicate_of": rows[0].id, "similarity": pytest.approx(likeness, abs=1e-4)}
    assert "f.jsonl:1" in rejected.reason
    assert f"{likeness:.2f}" in rejected.reason


def test_what_is_compared() -> None:
    rows = [example("a long text of words", "yes"), example("a long text of words", "no"), example("something else")]
    assert outcomes(rows) == "kkk"
    assert outcomes(rows, by="prompt") == "krk"
    assert outcomes(rows, by="instruction") == "krr"


def test_a_long_instruction_that_all_share_makes_nothing_alike() -> None:
    rows = [example(text, instruction="Read this with great care. " * 40) for text in ("12", "97", "12")]
    assert outcomes(rows) == "kkr"


def test_conversations_are_compared_whole() -> None:
    before = (Turn("user", "hello there, who are you?"), Turn("assistant", "a shop"), Turn("user", "open?"))
    other = (Turn("user", "quite another beginning"), Turn("assistant", "fine"), Turn("user", "open?"))
    rows = [example("open?", turns=turns) for turns in (before, other, before)]
    assert outcomes(rows) == "kkr"


def test_rows_about_different_pictures_are_never_alike() -> None:
    cat, dog = Image("a.png", "0" * 64), Image("b.png", "0" * 63 + "1")
    asked = [example("", images=shown) for shown in ((cat,), (dog,), (cat, dog), (dog, cat), (cat,), ())]
    assert outcomes(asked, threshold=0.01) == "kkkkrk"
    assert outcomes(asked, threshold=0.01, by="instruction") == "krrrrr"


def test_texts_without_letters_and_lone_surrogates() -> None:
    assert outcomes([example(""), example("x"), example(""), example("\ud800"), example("\ud800")]) == "kkrkr"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ""),
        (["one"], "k"),
        (["the same text"] * 5, "krrrr"),
        (["", "", "x"], "krk"),
        (["  spaces around ", "spaces around", "SPACES AROUND"], "krr"),
        (["caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me"], "kr"),
        (["Stra\u00dfe", "STRASSE"], "kr"),
        (["\u65e5\u672c\u8a9e\u306e\u6587", "\u65e5\u672c\u8a9e\u306e\u6587", "\u65e5\u672c\u8a9e\u306e\u672c"], "krk"),
        (["\U0001f469\u200d\U0001f467 hi", "\U0001f469\u200d\U0001f466 hi", "\U0001f469\u200d\U0001f467 hi"], "kkr"),
        (["12", "13", "12"], "kkr"),
    ],
)
def test_odd_texts(texts: list[str], expected: str) -> None:
    assert outcomes([example(text) for text in texts]) == expected


def test_at_1_only_equal_texts_go() -> None:
    texts = ["turn left twice", "twice turn left", "Turn left twice"]
    assert cosine(*texts[:2]) == pytest.approx(1)
    assert outcomes([example(text) for text in texts], threshold=1) == "kkr"
    assert outcomes([example(text) for text in texts], threshold=0.99) == "krr"


def test_it_finds_what_comparing_every_pair_finds() -> None:
    chance = random.Random(3)
    words = ["".join(chance.choices("abcdefgh", k=5)) for _ in range(60)]
    texts: list[str] = []
    for k in range(300):
        if k % 3 == 2:
            changed = chance.choice(texts).split()
            changed[chance.randrange(len(changed))] = chance.choice(words)
            texts.append(" ".join(changed))
        else:
            texts.append(" ".join(chance.choices(words, k=8)))
    kept: list[str] = []
    expected = ""
    for text in texts:
        twin = any(cosine(text, other) >= 0.8 for other in kept)
        expected += "r" if twin else "k"
        kept += [] if twin else [text]
    assert 50 < expected.count("r") < 150
    assert outcomes([example(text) for text in texts], threshold=0.8) == expected


def test_wrong_parameters_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Deduplicate(threshold=0, by="words")  # type: ignore[arg-type]
    assert [problem.key for problem in caught.value.problems] == ["threshold", "by"]
