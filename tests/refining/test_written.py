from __future__ import annotations

import pytest

from inscl.contract import Example
from inscl.refining.reflection import _unusable
from inscl.refining.written import answers_itself, badly_written, gone_astray, listed, sections

ENGLISH, RUSSIAN = "Translate the sentence into English.", "Это совершенно другой язык, а не тот, и он длинный"


def test_sections_keep_what_separates_lines_elsewhere() -> None:
    text = "one\u2028two\x0cthree\x85four"
    assert sections(f"hm\r\n[[a 1f]]\r\n{text}\r\n [[end 1f]] \r\n", ("a", "end"), "1f") == [text]
    with pytest.raises(ValueError, match="0 times"):
        sections(f"[[a 1f]]\u2028{text}\n[[end 1f]]", ("a", "end"), "1f")


def test_lists_are_read_without_their_bullets() -> None:
    assert listed("- a-b\n\n 2. c\n* c\n3) 4 d\n–  e\nf") == ["a-b", "c", "4 d", "e", "f"]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("東京都港区芝公園四丁目二番八号東京塔展望台", "きょうはとてもいいてんきですからさんぽにいきましょう"),
        ("カタカナデカカレタナガイブンショウデスヨネー", "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字"),
        ("ＦＵＬＬＷＩＤＴＨ ＬＥＴＴＥＲＳ ＡＲＥ ＬＡＴＩＮ", "Plain letters that are just as Latin"),
        (RUSSIAN, "да"),
    ],
)
def test_scripts_that_belong_together_are_one(new: str, old: str) -> None:
    assert gone_astray(new, old) == ""


def test_another_script_than_any_it_was_made_from_is_told() -> None:
    assert gone_astray(RUSSIAN, ENGLISH * 2) == "the model wrote in another script (Cyrillic instead of Latin)"
    assert gone_astray(ENGLISH, ENGLISH, RUSSIAN) == ""


def test_a_new_instruction_may_be_in_the_language_of_the_old_one_or_of_its_input() -> None:
    before = Example(ENGLISH, RUSSIAN * 3, ("It is another language.",))
    for instruction in (f"{ENGLISH} Be brief.", f"{ENGLISH}\n{RUSSIAN}", RUSSIAN):
        assert _unusable(Example(instruction, "", ("It is quite another language.",)), before) == ""
    greek = Example("Μετάφρασε την πρόταση στα αγγλικά, παρακαλώ", "", ("It is another language, as it were.",))
    assert "another script (Greek instead of Latin or Cyrillic)" in _unusable(greek, before)
    merged = Example(before.prompt, "", before.outputs)
    assert _unusable(merged, before) == "the model gave back what it was given"


QUESTION = (
    "Judge the answer: is it helpful, relevant, accurate, and detailed enough? Then write a better one for {input}."
)
CIRCLES = "The answer is not helpful, the answer is not relevant. " * 3


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        ("Fine. Is it helpful, relevant, accurate, and detailed enough?", "Go.", "words of the question"),
        ("Is it helpful, relevant and short?", "Go.", ""),
        (
            "Is it helpful, relevant, accurate, and detailed enough?",
            "Ask: is it helpful, relevant, accurate, and detailed enough?",
            "",
        ),
        (CIRCLES, "Go on and say more about it.", "the model repeats itself"),
        (CIRCLES, "row your boat " * 9, ""),
        ("no no no no", "Say no four times.", ""),
        ("Roses are red, violets are blue, sugar is sweet, and so are you, my dear.", "Write a short poem.", ""),
        (RUSSIAN, ENGLISH * 2, "another script"),
    ],
)
def test_what_gives_back_the_question_or_goes_round_in_circles_is_told(new: str, old: str, said: str) -> None:
    found = badly_written(new, old, question=QUESTION)
    assert said in found
    assert bool(said) == bool(found)
    assert badly_written(new, "Text.", beside=[old, new], question=QUESTION) == ""


def test_an_answer_that_is_its_instruction_is_told_but_where_the_row_was_so_before() -> None:
    assert answers_itself("Name  A colour.", "Name a colour.") == "the answer says the same as the instruction"
    assert answers_itself("Red.", "Name a colour.") == ""
    assert answers_itself("b", "b", Example("Say a.", "", ("say a.",))) == ""
