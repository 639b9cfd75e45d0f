"""Inputs that once went wrong, each of its kind built here, and all of a folder of them where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl import load_stream
from inscl.contract import Example, Stream
from inscl.contract.example import Turn
from inscl.errors import ConfigError, DataError

CASES = Path(__file__).parents[3] / "shared" / "cases"


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def every(stream: Stream) -> list[Example]:
    return [example for task in stream for example in (*task.train, *task.test)]


def alpaca(n: int, **more: Any) -> dict[str, Any]:
    return {"instruction": "Say the colour.", "input": f"item {n}", "output": ("red", "blue")[n % 2], **more}


def test_system_and_history_of_alpaca_are_turns(tmp_path: Path) -> None:
    more = {"system": "You are terse.", "history": [["earlier", "reply"], ["then", "so"]]}
    stream = load_stream(lines(tmp_path / "t.jsonl", [alpaca(n, **more) for n in range(12)]))
    said = every(stream)[0]
    assert (said.instruction, said.input) == ("Say the colour.", said.input)
    assert [(turn.role, turn.content) for turn in said.turns] == [
        ("system", "You are terse."),
        ("user", "earlier"),
        ("assistant", "reply"),
        ("user", "then"),
        ("assistant", "so"),
        ("user", said.prompt),
    ]
    assert not any(turn.learn for turn in said.turns)
    assert not any("not used" in finding for finding in stream.findings)
    (told,) = (finding for finding in stream.findings if "several answers" in finding)
    assert told == (
        "t.jsonl: 12 conversations of several answers; the last answer of each is learned "
        "(`turns: all` learns every answer)"
    )
    learned = every(load_stream(tmp_path / "t.jsonl", turns="all"))[0]
    assert [turn.learn for turn in learned.turns] == [False, False, True, False, True, False]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ("no list", "the history is str; a list of pairs"),
        ([["only one"]], "entry 1 of the history is no pair"),
        ([["a", "b"], {"user": "x"}], "entry 2 of the history is no pair"),
        ([["a", None]], "entry 1 of the history is no pair"),
        ([["a", " "]], "entry 1 of the history has an empty text"),
    ],
)
def test_a_history_that_is_none_is_a_bad_row(tmp_path: Path, history: Any, said: str) -> None:
    rows = [alpaca(n) for n in range(6)] + [alpaca(6, history=history)]
    with pytest.raises(DataError, match=f"line 7: {said}"):
        load_stream(lines(tmp_path / "t.jsonl", rows))
    assert len(load_stream(tmp_path / "t.jsonl", skip_bad_rows=True).rejected) == 1


def test_empty_system_and_history_change_nothing(tmp_path: Path) -> None:
    plain = load_stream(lines(tmp_path / "t.jsonl", [alpaca(n) for n in range(6)]))
    empty = load_stream(lines(tmp_path / "t.jsonl", [alpaca(n, system="", history=[]) for n in range(6)]))
    assert [e.id for e in every(empty)] == [e.id for e in every(plain)]
    csv = "instruction,output,system,history\n" + "".join(f'say {n},{n},Be kind,"[[""a"", ""b""]]"\n' for n in range(4))
    (tmp_path / "t.csv").write_text(csv)
    assert {len(e.turns) for e in every(load_stream(tmp_path / "t.csv"))} == {4}


def test_one_finding_names_every_column_that_is_not_used(tmp_path: Path) -> None:
    rows = [alpaca(n, weight=0.2, sounds=["a.wav"], empty="", nothing=None) for n in range(11)]
    stream = load_stream(lines(tmp_path / "extra.jsonl", [*rows, alpaca(11, weight=0)]))
    told = [finding for finding in stream.findings if "not used" in finding]
    assert told == ["extra.jsonl: not used: weight (12 rows), sounds (11 rows)"]
    kept = load_stream(tmp_path / "extra.jsonl", metadata=["weight"])
    assert [e.metadata for e in every(kept)].count({"weight": 0.2}) == 11
    assert "extra.jsonl: not used: sounds (11 rows)" in kept.findings
    with pytest.raises(ConfigError, match=r"stream\.metadata: no row has a column 'wieght'"):
        load_stream(tmp_path / "extra.jsonl", metadata=["wieght", "weight"])


def test_a_column_that_a_mapping_uses_in_part(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answers": {"text": [f"a{n}"], "start": [1]}, "id": n} for n in range(4)]
    columns = {"instruction": "question", "output": "answers.text"}
    stream = load_stream(lines(tmp_path / "squad.jsonl", rows), columns=columns)
    assert "squad.jsonl: not used: answers.start (4 rows), id (4 rows)" in stream.findings


def chat(n: int, **more: Any) -> dict[str, Any]:
    said = [("user", "Hi"), ("assistant", "Hello"), ("user", f"item {n}")]
    turns = [{"role": role, "content": text} for role, text in said]
    return {"messages": [*turns, {"role": "assistant", "content": f"red {n}", **more}]}


def test_reasoning_is_told_or_kept(tmp_path: Path) -> None:
    path = lines(tmp_path / "reasoning.jsonl", [chat(n, reasoning_content="hm", weight=1) for n in range(12)])
    dropped = load_stream(path)
    assert {e.output for e in every(dropped)} == {f"red {n}" for n in range(12)}
    assert (
        "reasoning.jsonl: not used: messages.weight (12 rows), messages.reasoning_content (12 rows); `reasoning: keep` "
        "makes reasoning a part of the answer"
    ) in dropped.findings
    kept = load_stream({"path": str(path), "reasoning": "keep"})
    assert {e.output for e in every(kept)} == {f"<think>\nhm\n</think>\n\nred {n}" for n in range(12)}
    assert "reasoning.jsonl: not used: messages.weight (12 rows)" in kept.findings
    column = load_stream(lines(tmp_path / "a.jsonl", [alpaca(n, thinking="hm") for n in range(4)]), reasoning="keep")
    assert {e.output for e in every(column)} == {"<think>\nhm\n</think>\n\nred", "<think>\nhm\n</think>\n\nblue"}


def test_a_conversation_stays_turns(tmp_path: Path) -> None:
    stream = load_stream(lines(tmp_path / "t.jsonl", [chat(n) for n in range(12)]))
    said = next(e for e in every(stream) if e.output == "red 3")
    assert (said.instruction, said.input) == ("Hi", "item 3")
    assert said.turns == (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "item 3"))
    assert any("12 conversations of several answers; the last answer" in finding for finding in stream.findings)
    all_turns = load_stream(tmp_path / "t.jsonl", turns="all")
    assert any("every answer is learned (`turns: last` learns" in finding for finding in all_turns.findings)
    assert next(e for e in every(all_turns) if e.output == "red 3").turns[1] == Turn("assistant", "Hello", True)


def test_conversations_that_differ_in_earlier_turns_are_no_copies(tmp_path: Path) -> None:
    def row(system: str) -> dict[str, Any]:
        return {"system": system, "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}

    stream = load_stream(lines(tmp_path / "t.jsonl", [row(f"be {n}") for n in range(6)] + [row("be 0")]))
    assert sum("twice in one split" in finding for finding in stream.findings) == 1
    same = [{**alpaca(0), "system": f"be {n}"} for n in range(6)]
    stream_of_alpaca = load_stream(lines(tmp_path / "a.jsonl", [*same, same[0], alpaca(0)]), leaks="allow")
    assert sum("twice in one split" in finding for finding in stream_of_alpaca.findings) == 1
    said = next(e for e in every(stream) if e.instruction == "be 3")
    assert (said.input, said.turns) == ("q", (Turn("system", "be 3"), Turn("user", "q")))


def test_a_system_turn_counts_before_a_column(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "own"}, {"role": "user", "content": "q"}]
    rows = [
        {"system": "column", "messages": [*turns, {"role": "assistant", "content": str(n)}], "tools": "[]"}
        for n in range(4)
    ]
    stream = load_stream(lines(tmp_path / "t.jsonl", rows))
    assert {e.instruction for e in every(stream)} == {"own"}
    assert "t.jsonl: not used: system (4 rows), tools (4 rows)" in stream.findings


def test_trl_prompts_and_completions(tmp_path: Path) -> None:
    plain = [{"prompt": f"item {n}", "completion": f"red {n}"} for n in range(12)]
    messages = [
        {
            "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"item {n}"}],
            "completion": [{"role": "assistant", "content": f"red {n}"}],
        }
        for n in range(12)
    ]
    said = every(load_stream(lines(tmp_path / "plain.jsonl", plain)))
    assert {(e.instruction, e.input, e.output, e.turns) for e in said} == {
        (f"item {n}", "", f"red {n}", ()) for n in range(12)
    }
    said = every(load_stream(lines(tmp_path / "talk.jsonl", messages)))
    assert {(e.instruction, e.input, e.output, len(e.turns)) for e in said} == {
        ("Be kind.", f"item {n}", f"red {n}", 2) for n in range(12)
    }
    given = every(load_stream(tmp_path / "plain.jsonl", columns={"instruction": "=Say it."}))
    assert {(e.instruction, e.prompt) for e in given} == {("Say it.", f"Say it.\n\nitem {n}") for n in range(12)}


def test_preferences(tmp_path: Path) -> None:
    def turn(role: str, text: str) -> dict[str, str]:
        return {"role": role, "content": text}

    forms: dict[str, Any] = {
        "texts": lambda n: {"prompt": f"q{n}", "chosen": f"a{n}", "rejected": "no"},
        "messages": lambda n: {
            "prompt": [turn("user", f"q{n}")],
            "chosen": [turn("assistant", f"a{n}")],
            "rejected": [turn("assistant", "no")],
        },
        "whole": lambda n: {
            "chosen": [turn("user", f"q{n}"), turn("assistant", f"a{n}")],
            "rejected": [turn("user", f"q{n}"), turn("assistant", "no")],
        },
        "sharegpt": lambda n: {
            "conversations": [{"from": "human", "value": f"q{n}"}],
            "chosen": {"from": "gpt", "value": f"a{n}"},
            "rejected": {"from": "gpt", "value": "no"},
        },
    }
    for name, form in forms.items():
        stream = load_stream(lines(tmp_path / f"{name}.jsonl", [form(n) for n in range(4)]))
        assert {(e.prompt, e.output) for e in every(stream)} == {(f"q{n}", f"a{n}") for n in range(4)}
        assert f"{name}.jsonl: not used: rejected (4 rows)" in stream.findings
        assert f"{name}.jsonl: 4 rows of preferences; the chosen answer is learned" in stream.findings
    with pytest.raises(DataError, match="one text without a prompt"):
        load_stream(lines(tmp_path / "x.jsonl", [{"chosen": "Human: a Assistant: b", "rejected": "c"}]))
    unwanted = [{"prompt": f"q{n}", "completion": "a", "label": n != 2} for n in range(4)]
    with pytest.raises(DataError, match="line 3: its label is false: this completion is one that is not wanted"):
        load_stream(lines(tmp_path / "kto.jsonl", unwanted))
    assert not any("not used" in line for line in load_stream(tmp_path / "kto.jsonl", skip_bad_rows=True).findings)


def test_prompt_beside_messages(tmp_path: Path) -> None:
    whole = [{"prompt": f"q{n}", "messages": chat(n)["messages"]} for n in range(4)]
    stream = load_stream(lines(tmp_path / "whole.jsonl", whole))
    assert "whole.jsonl: not used: prompt (4 rows)" in stream.findings
    answers = [{"prompt": f"q{n}", "messages": [{"role": "assistant", "content": f"a{n}"}]} for n in range(4)]
    said = every(load_stream(lines(tmp_path / "answers.jsonl", answers)))
    assert {(e.prompt, e.output) for e in said} == {(f"q{n}", f"a{n}") for n in range(4)}


def task_file(**more: Any) -> dict[str, Any]:
    instances = [{"id": f"a-{n}", "input": f"item {n}", "output": ["red", f"scarlet {n}"]} for n in range(12)]
    return {"Definition": ["Say the colour."], "Instances": instances, **more}


def test_a_task_file_of_natural_instructions(tmp_path: Path) -> None:
    examples = [{"input": "shown", "output": "green"}]
    path = tmp_path / "task001_x.json"
    path.write_text(json.dumps(task_file(Categories=["Misc."], **{"Positive Examples": examples})))
    stream = load_stream(path)
    said = every(stream)
    assert stream.names == ("task001_x",)
    assert {(e.instruction, e.outputs) for e in said} == {
        ("Say the colour.", ("red", f"scarlet {n}")) for n in range(12)
    }
    assert {e.input for e in said} == {f"item {n}" for n in range(12)}
    told = "\n".join(stream.findings)
    assert "its definition is the instruction" in told
    assert "not used beside its instances: Categories, Positive Examples" in told
    path.write_text(json.dumps(task_file(Source=float("nan"), Definition="One text.")))
    assert {e.instruction for e in every(load_stream(path))} == {"One text."}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"Definition": [], "Instances": [{}]}, "Definition .* is no text"),
        ({"Definition": "x", "Instances": {}}, "Instances .* are no list"),
        ({"Definition": "x", "Instances": ["y"]}, "an instance with input and output was expected"),
        ({"Definition": "x", "Instances": [{"input": "y"}]}, "line 1: there is no column 'outputs'"),
    ],
)
def test_a_damaged_task_file(tmp_path: Path, document: Any, said: str) -> None:
    (tmp_path / "t.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=said):
        load_stream(tmp_path / "t.json")


def test_dolly(tmp_path: Path) -> None:
    rows = [{"instruction": f"Q{n}", "response": f"a{n}", "context": "c", "category": "open_qa"} for n in range(4)]
    stream = load_stream(lines(tmp_path / "t.jsonl", rows))
    assert {(e.instruction, e.input, e.output) for e in every(stream)} == {(f"Q{n}", "c", f"a{n}") for n in range(4)}
    assert "t.jsonl: not used: category (4 rows)" in stream.findings


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of inputs that went wrong is not here")
def test_the_folder_of_cases() -> None:
    def case(name: str, **more: Any) -> tuple[Stream, list[Example]]:
        stream = load_stream(CASES / name, **more)
        return stream, every(stream)

    assert len(list(CASES.iterdir())) == 9
    _, said = case("01-alpaca-system-history")
    assert {tuple(turn.role for turn in e.turns) for e in said} == {("system", "user", "assistant", "user")}
    stream, _ = case("02-fields-not-used", columns={"images": "="})  # the pictures that it names are not there
    assert "extra.jsonl: not used: weight (12 rows), outputs2 (12 rows), images (12 rows)" in stream.findings
    assert any("messages.reasoning_content (12 rows)" in finding for finding in stream.findings)
    _, said = case("03-multi-turn")
    assert {(e.instruction, len(e.turns)) for e in said} == {("Hi", 3)}
    stream, said = case("05-trl-prompt-completion", leaks="drop")
    assert {e.prompt for e in said} == {f"item {n}" for n in range(12)}
    _, said = case("06-natural-instructions-file")
    assert {e.instruction for e in said} == {"Say the colour."}
    stream, said = case("07-compressed")
    assert (stream.names, len(said)) == (("t",), 12)
    _, said = case("08-dolly")
    assert {(e.input, e.output) for e in said} == {("c", "a")}
    stream, said = case("09-header-almost-right")
    assert stream.names == ("capital", "semicolon")
    assert len(said) == 24
    assert "semicolon.csv: its separator is a semicolon" in stream.findings


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of inputs that went wrong is not here")
def test_the_class_labels_of_the_folder_of_cases() -> None:
    pytest.importorskip("datasets")
    columns = {"instruction": "text", "output": "label"}
    stream = load_stream({"path": str(CASES / "04-class-labels"), "columns": columns, "leaks": "drop"})
    assert {e.output for e in every(stream)} == {"red", "blue"}
    assert {e.options for e in every(stream)} == {("red", "blue")}
