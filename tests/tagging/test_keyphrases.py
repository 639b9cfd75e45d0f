from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inscl.tagging import instruction_information, keyphrases, merge_tags
from inscl.tagging.keyphrases import KeyphraseTagger
from inscl.tagging.lexicon import CUES

REVIEW = (
    "In this task, you are given a restaurant review. Your task is to classify its sentiment as positive or negative."
)
TWEET = "Classify the given tweet into three categories: 'hate speech', 'offensive' and 'neither'."
RHYME = "Given an input word generate a word that rhymes exactly with the input word."
SQL = "Write a SQL query that answers the given question about the table."
SORT = "You are given a list of dictionaries. You should sort the dictionaries by their first key."
TEAM = "Route this customer message to a team code."


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (REVIEW, {"classification", "sentiment analysis", "classify sentiment", "restaurant review"}),
        (TWEET, {"classification", "classify tweet", "toxic language detection"}),
        (RHYME, {"generation", "generate word"}),
        (SQL, {"code", "generation", "generate query", "sql query"}),
        (SORT, {"ordering", "sort dictionary"}),
        (TEAM, {"routing", "route message", "team code"}),
        ("Count the number of vowels in the sentence.", {"counting", "count vowel"}),
        ("Redact all personal data in the message.", {"redaction", "personal data"}),
    ],
)
def test_intentions_of(instruction, expected):
    [tags] = KeyphraseTagger()([instruction])
    assert expected <= set(tags), tags
    assert 2 <= len(tags) <= 9
    assert len(set(tags)) == len(tags)


def test_form_words_examples_and_labels_are_no_tags():
    text = (
        "In this task, you are given an input. Your task is to answer with 'apple' or \"banana\". "
        "For example, if the rocket (or the submarine) sinks, the output should be banana. Do not write anything else."
    )
    words = {word for tag in KeyphraseTagger()([text])[0] for word in tag.split()}
    assert not words & {
        "task",
        "input",
        "output",
        "apple",
        "banana",
        "rocket",
        "submarine",
        "given",
        "example",
        "write",
    }


def test_a_rare_skill_has_more_information_than_a_common_one():
    common = [f"Classify the {thing} review as positive or negative." for thing in ("book", "film", "hotel", "game")]
    tags = merge_tags(KeyphraseTagger()([*common, RHYME]), None)
    information = instruction_information(tags)
    assert information[-1] > information[:-1].max()
    frequency = Counter(tag for own in tags for tag in own)
    assert frequency["classification"] == 4


def test_the_same_instruction_has_the_same_tags_whatever_is_around_it():
    tagger = KeyphraseTagger()
    together = tagger([REVIEW, TWEET, RHYME])
    assert together == [KeyphraseTagger()([text])[0] for text in (REVIEW, TWEET, RHYME)]
    assert tagger.fingerprint == KeyphraseTagger().fingerprint != KeyphraseTagger(phrases=2).fingerprint


@pytest.mark.parametrize("text", ["", "   ", "123 !!!", "\ud800", "\x00\x07", "?" * 100])
def test_no_words_no_tags(text):
    assert KeyphraseTagger()([text]) == [[]]


@pytest.mark.parametrize("text", ["x", "word ", "(", "'", "premise ", "-", "a.", "\n"])
def test_a_field_of_megabytes_is_tagged_by_its_start(text):
    assert len(KeyphraseTagger()([text * 500_000])[0]) <= 9


def test_other_languages_keep_their_letters():
    assert "français" in " ".join(KeyphraseTagger()(["Traduisez le texte français."])[0])
    assert KeyphraseTagger()(["把下面的句子翻译成英文。"])[0] == ["把下面的句子翻译成英文"]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_a_pattern_matches_holds_one_of_its_hints(data):
    hints, pattern, _ = data.draw(st.sampled_from([*CUES, *keyphrases._ASIDES]))
    found = pattern.search(data.draw(st.from_regex(pattern)))
    assert any(hint in found.group() for hint in hints)


def test_many_instructions_are_tagged_on_all_cores_alike(monkeypatch):
    texts = [f"{verb} the {noun} of each text." for verb in ("Classify", "Write", "Sort") for noun in ["abc", "topic"]]
    alone = KeyphraseTagger(phrases=1)(texts)
    monkeypatch.setattr(keyphrases, "_WORTH_PROCESSES", 5)
    monkeypatch.setattr(keyphrases, "_CHUNK", 2)
    assert KeyphraseTagger(phrases=1)(texts) == alone
    assert any("classify topic" in tags for tags in alone)


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_the_quick_way_to_words_finds_the_same(text: str) -> None:
    tokens = keyphrases._TOKEN.findall(text)
    assert keyphrases._words(text) == [token.casefold() if token[0].isalpha() else "" for token in tokens]
