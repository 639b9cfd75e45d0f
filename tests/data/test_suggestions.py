"""What a message suggests is pasted into a configuration, and reads the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inscl import load_stream
from inscl.errors import DataError

Q, A, C = "ask {}", "answer {}", "beside {}"
ROWS: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "question and answer": ({"id": "1", "question": Q, "answer": A}, (Q, "", A)),
    "text and label": ({"text": Q, "label": A}, (Q, "", A)),
    "query and response": ({"query": Q, "response": A}, (Q, "", A)),
    "premise, hypothesis, label": ({"premise": Q, "hypothesis": C, "label": A}, (Q, C, A)),
    "sentence1, sentence2, label": ({"sentence1": Q, "sentence2": C, "label": A, "idx": 1}, (Q, C, A)),
    "source and target": ({"source": Q, "target": A}, (Q, "", A)),
    "input and output": ({"input": Q, "output": A}, (Q, "", A)),
    "prompt and response": ({"Prompt": Q, "Response": A}, (Q, "", A)),
    "article and highlights": ({"article": Q, "highlights": A, "id": "x"}, (Q, "", A)),
    "instruction and answer": ({"instruction": Q, "answer": A}, (Q, "", A)),
    "SQuAD": ({"context": C, "question": Q, "answers": {"text": [A], "answer_start": [1]}}, (Q, C, A)),
    "names of several words": ({"user_query": Q, "modelAnswer": A, "n": 1}, (Q, "", A)),
    "two names of another language": ({"Frage": Q, "Antwort": A}, (Q, "", A)),
    "names that YAML needs quoted": ({"question: 1": Q, "- answer": A}, (Q, "", A)),
    "a name with a dot": ({"q.question": Q, "a.answer": A}, (Q, "", A)),
    "preferences beside an instruction": ({"instruction": Q, "input": C, "chosen": A, "rejected": "x"}, (Q, C, A)),
}


SAID = [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]
ROWS["turns under another name"] = ({"id": 1, "dialogue": SAID}, (Q, "", A))


def filled(value: Any, number: int) -> Any:
    if isinstance(value, str):
        return value.format(number)
    if isinstance(value, list):
        return [filled(part, number) for part in value]
    return {name: filled(part, number) for name, part in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ROWS)
def test_a_suggestion_works_when_it_is_pasted(tmp_path: Path, name: str) -> None:
    row, (asked, given, answer) = ROWS[name]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(filled(row, n)) + "\n" for n in range(6)))
    with pytest.raises(DataError) as caught:
        load_stream(path)
    (mapping,) = re.findall(r"here maybe `(columns: \{.*?\})`", str(caught.value))
    (tmp_path / "config.yaml").write_text(f"stream:\n  path: {path}\n  {mapping}\n")
    said = {
        (e.instruction, e.input, e.output)
        for task in load_stream(tmp_path / "config.yaml")
        for e in (*task.train, *task.test)
    }
    assert said == {(asked.format(n), given.format(n), answer.format(n)) for n in range(6)}


@pytest.mark.parametrize(
    "row",
    [
        {"a": "x", "b": "y", "c": "z"},
        {"question": "x"},
        {"question": "x", "answer": {"value": 1}},
        {"instruction": "x", "input": "no answer"},
        {"Context": "x", "Instruction": "no answer"},
        {},
    ],
)
def test_nothing_is_suggested_that_would_not_read_the_row(tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"other names go in `columns: \{instruction: \.\.\., output: \.\.\.\}`"):
        load_stream(tmp_path / "data.jsonl")


def test_a_mapped_column_that_is_near_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"question": "x", "answer": "y"}\n')
    with pytest.raises(DataError, match=r"'anwser' is missing.*did you mean 'answer'"):
        load_stream(tmp_path / "data.jsonl", columns={"instruction": "question", "output": "anwser"})
