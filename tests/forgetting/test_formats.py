"""Answer formats against scikit-learn's own classifier, and the cut against its definition."""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from inscl.forgetting.formats import AnswerFormats, _features, _parts

NUMBERS = [str(number * 37 % 1000) for number in range(1, 41)]
QUESTIONS = [f"What is the {word} of the {word}?" for word in map(chr, range(97, 123))]
COMMANDS = [f"I_TURN_{'LEFT' if number % 2 else 'RIGHT'} I_{'RUN ' * (number % 4 + 1)}" for number in range(24)]
TEXTS = [*NUMBERS, *QUESTIONS, *COMMANDS]
LABELS = ["number"] * len(NUMBERS) + ["question"] * len(QUESTIONS) + ["command"] * len(COMMANDS)


def test_an_answer_fits_its_own_class_and_the_other_named_is_another() -> None:
    formats = AnswerFormats(TEXTS, LABELS)
    for text, label in (("512", "number"), ("What is the name?", "question"), ("I_TURN_LEFT I_RUN", "command")):
        fits, other = formats.fits(text, label)
        assert fits
        assert other != label
        for wrong in {"number", "question", "command"} - {label}:
            assert formats.fits(text, wrong) == (False, label)


def test_the_best_class_is_the_one_of_scikit_learn() -> None:
    formats = AnswerFormats(TEXTS, LABELS)
    reference = MultinomialNB(alpha=0.1, fit_prior=False).fit(_features(TEXTS), LABELS)
    for text in ("17", "Who?", "I_JUMP", "a sentence of its own", "7 questions"):
        probabilities = dict(zip(reference.classes_, reference.predict_log_proba(_features([text]))[0], strict=True))
        for label in formats.labels:
            others = {name: value for name, value in probabilities.items() if name != label}
            assert formats.fits(text, label)[1] == max(others, key=others.get)


def test_features_are_distinct_n_grams_and_a_length() -> None:
    counter = CountVectorizer(analyzer="char", ngram_range=(1, 3)).fit([" no, no no "])
    parts = _parts("No,  no NO")
    assert {part for part in parts if not part.startswith("length")} == set(counter.get_feature_names_out())
    # Three words: 2 log2(3 + 1).
    assert {part.split()[1] for part in parts if "length" in part} == {"4"}
    assert not {part for part in _parts("word " * 40) if "length" in part} & parts


def test_five_percent_of_the_references_held_out_may_fall_below_the_cut() -> None:
    generator = np.random.default_rng(0)

    def text(tilt: float) -> str:
        return "".join(generator.choice(list("abcd"), 6, p=[0.25 + tilt, 0.25 - tilt, 0.25, 0.25]))

    texts = [text(tilt) for _ in range(1000) for tilt in (0.1, -0.1)]
    # The classes overlap much: without a cut, far fewer than 95% of new texts would fit their own.
    formats = AnswerFormats(texts, ["a", "b"] * 1000)
    fitting = sum(formats.fits(text(0.1), "a")[0] for _ in range(400)) / 400
    assert 0.91 < fitting < 0.99


def test_an_endless_repetition_is_judged_as_its_beginning() -> None:
    formats = AnswerFormats(TEXTS, LABELS)
    assert formats.fits("I_TURN_LEFT I_RUN " * 60, "command")[0]


def test_classes_of_one_reference() -> None:
    formats = AnswerFormats(["yes", "a long sentence about the weather"], ["a", "b"])
    assert formats.fits("yes", "a")[0]
    assert formats.fits("no", "a")[1] == "b"
    assert "a" in formats
    assert "c" not in formats
