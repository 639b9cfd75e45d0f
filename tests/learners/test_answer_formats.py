from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inscl.learners.answer_formats import FORMATS

PLAIN = {
    "as asked": ("1. red\n2. blue\n3. green", {1: "red", 2: "blue", 3: "green"}),
    "other marks and order": (" 3) green\n1: red\n\n02. blue  ", {1: "red", 2: "blue", 3: "green"}),
    "text before": ("Here they are:\n1. red\n2. blue\n3. green", {1: "red", 2: "blue", 3: "green"}),
    "numbers in answers": ("1. 5. element\n2. 1.5\n3. 12:30", {1: "5. element", 2: "1.5", 3: "12:30"}),
    "a number at a line start that is no entry": ("1. red\n1.5 of it\n2. blue\n3. green", {2: "blue", 3: "green"}),
    "an answer that goes on": ("1. red\nand dark\n2. blue\n3. green", {2: "blue", 3: "green"}),
    "a list as an answer": ("1. two things:\n1. red\n2. dark\n2. blue\n3. green", {3: "green"}),
    "missing": ("1. red\n3. green", {1: "red", 3: "green"}),
    "empty": ("1. red\n2.\n3. green", {1: "red", 3: "green"}),
    "repeated alike": ("1. red\n2. blue\n2. blue\n3. green", {1: "red", 3: "green"}),
    "more than asked": ("1. red\n2. blue\n3. green\n4. black\n5. white", {1: "red", 2: "blue", 3: "green"}),
    "counted from zero": ("0. red\n1. blue\n2. green", {}),
    "labels alone": ("red\nblue\ngreen", {}),
    "nothing": ("", {}),
    "digits of another script": ("1. red\n٢. blue\n3. green", {3: "green"}),
    "a huge number": (f"1. red\n2. blue\n{'9' * 5000}. x\n3. green", {1: "red", 2: "blue", 3: "green"}),
}
JSON = {
    "as asked": ('{"1": "red", "2": "blue", "3": "green"}', {1: "red", 2: "blue", 3: "green"}),
    "in a fence": ('Sure {here}:\n```json\n{\n "1": "red",\n "2": "blue"\n}\n```', {1: "red", 2: "blue"}),
    "quotes and line feeds": (r'{"1": "say \"2\": \"x\"", "2": "a\nb", "3": "{\"1\"}"}', None),
    "a real line feed": ('{"1": "a\nb", "2": "blue"}', {1: "a\nb", 2: "blue"}),
    "numbers as written": ('{"1": 1.50, "2": -7, "3": true}', {1: "1.50", 2: "-7", 3: "true"}),
    "missing": ('{"1": "red", "3": "green"}', {1: "red", 3: "green"}),
    "empty, null, lists, objects": ('{"1": " ", "2": null, "3": ["green"], "4": {"1": "x"}}', {}),
    "repeated": ('{"1": "red", "2": "blue", "2": "green", "3": "x"}', {1: "red", 3: "x"}),
    "more than asked": ('{"1": "red", "2": "blue", "4": "x", "note": "y", "01": "z"}', {1: "red", 2: "blue"}),
    "counted from zero": ('{"0": "red", "1": "blue", "2": "green"}', {}),
    "cut off": ('{"1": "red", "2": "blue", "3": "gre', {}),
    "cut off, with an object inside": ('{"1": {"1": "red"}, "2": "blue"', {}),
    "single quotes": ("{'1': 'red', '2': 'blue'}", {}),
    "a list": ('["red", "blue", "green"]', {}),
    "too deep": ('{"1": ' + "[" * 100_000, {}),
    "too long a number": ('{"1": ' + "9" * 5000 + ', "2": "blue"}', {1: "9" * 5000, 2: "blue"}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize(("reply", "expected"), PLAIN.values(), ids=PLAIN)
def test_plain(reply: str, expected: dict[int, str]) -> None:
    assert FORMATS["plain"].parse(reply, 3) == expected


@pytest.mark.parametrize(("reply", "expected"), JSON.values(), ids=JSON)
def test_json(reply: str, expected: dict[int, str] | None) -> None:
    if expected is None:
        expected = {int(key): value for key, value in json.loads(reply).items()}
    assert FORMATS["json"].parse(reply, 3) == expected


@given(st.lists(st.text().map(str.strip).filter(bool), min_size=1, max_size=12), st.booleans())
def test_any_text_comes_back_out_of_json(answers: list[str], ascii_only: bool) -> None:
    reply = json.dumps({str(k): text for k, text in enumerate(answers, start=1)}, ensure_ascii=ascii_only)
    assert FORMATS["json"].parse(reply, len(answers)) == dict(enumerate(answers, start=1))


@given(st.text(alphabet='12.:){}"[]\\, \nab', max_size=60), st.sampled_from(sorted(FORMATS)))
def test_whatever_is_replied_answers_are_those_that_were_asked_for(reply: str, name: str) -> None:
    found = FORMATS[name].parse(reply, 2)
    assert set(found) <= {1, 2}
    assert all(text and text == text.strip() for text in found.values())
    if "\\" not in reply:
        assert all(text in reply for text in found.values())


@pytest.mark.parametrize("name", FORMATS)
def test_a_request_shows_the_format_that_is_read_and_a_copy_of_it_is_no_answer(name: str) -> None:
    request = FORMATS[name].request.format(n=7)
    assert "7 inputs" in request
    shown = request.split("as in\n")[1]
    assert FORMATS[name].parse(shown.replace("answer", "colour"), 7) == {1: "first colour", 2: "second colour"}
    assert FORMATS[name].parse(shown, 7) == {}


def test_the_last_line_of_a_reply_that_was_cut_off_is_missing() -> None:
    assert FORMATS["plain"].parse("1. red\n2. bl", 3, cut=True) == {1: "red"}
    assert FORMATS["plain"].parse("", 3, cut=True) == {}
    assert FORMATS["json"].parse('{"1": "red", "2": "blue"} and so', 3, cut=True) == {1: "red", 2: "blue"}
