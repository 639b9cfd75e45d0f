from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from inscl.contract import Example
from inscl.contract.example import Image, Role, Turn
from inscl.errors import ConfigError
from inscl.handover import TARGETS
from inscl.handover.conversations import answers_apart, has_history, marked_row
from inscl.handover.settings import Lora, PromptForm, Settings


def written(turns: Any) -> str:
    return "".join(f"<{turn.role}>{turn.content}" for turn in turns) + "<assistant>"


FORM = PromptForm(True, "<user>", "<assistant>", "</s>", "LlamaForCausalLM", written)
SETTINGS = Settings("some/model", "new", 1e-3, 2, 8, 1024, 0, Lora(16, 32, 0.0, "all-linear"), "auto", True, FORM)
SAID = (Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"))
LAST = Example("s", "c", ("d",), "new", turns=SAID)
ALL = replace(LAST, turns=(*SAID[:2], Turn("assistant", "b", learn=True), SAID[3]))
ALONE = Example("q", "", ("r",), "old")


def made(to: str, *examples: Example, form: PromptForm = FORM) -> tuple[list[Any], dict[str, Any], str]:
    files = TARGETS[to](examples, replace(SETTINGS, form=form))
    rows = [json.loads(line) for line in files["train.jsonl"].decode().splitlines()]
    configuration = next((yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")), {})
    return rows, configuration, files["README.txt"].decode()


def message(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


WHOLE = [message("system", "s"), message("user", "a"), message("assistant", "b"), message("user", "c")]


def test_each_learned_answer_is_a_row_of_its_own() -> None:
    assert answers_apart([LAST, ALONE]) == [LAST, ALONE]
    assert answers_apart([ALL]) == [replace(LAST, outputs=("b",), turns=SAID[:2]), LAST]
    first = Example("a", "c", ("d",), turns=(Turn("user", "a"), Turn("assistant", "b", learn=True), Turn("user", "c")))
    assert next((part.prompt, part.turns, part.output) for part in answers_apart([first])) == ("a", (), "b")
    assert (has_history([ALONE]), has_history([ALONE, LAST])) == (False, True)
    assert not has_history([replace(LAST, turns=SAID[:2])])


def test_an_earlier_answer_is_about_the_pictures_that_were_shown_by_then() -> None:
    cat, dog = Image("a.png", "0" * 64), Image("b.png", "1" * 64)
    said = ("What is <image>?", "A cat.", "And <image>?")
    roles: tuple[Role, ...] = ("user", "assistant", "user")
    turns = tuple(Turn(role, text, role == "assistant") for role, text in zip(roles, said, strict=True))
    asked = Example(said[0], said[2], ("A dog.",), turns=turns, images=(cat, dog))
    assert [part.images for part in answers_apart([asked])] == [(cat,), (cat, dog)]
    plain = [replace(turn, content=turn.content.replace("<image>", "it")) for turn in turns]
    assert [part.images for part in answers_apart([replace(asked, turns=tuple(plain))])] == [(cat, dog), (cat, dog)]


def test_trl_has_a_row_for_each_learned_answer() -> None:
    rows, _, _ = made("trl", ALL, ALONE)
    assert rows == [
        {"prompt": WHOLE[:2], "completion": [message("assistant", "b")]},
        {"prompt": WHOLE, "completion": [message("assistant", "d")]},
        {"prompt": [message("user", "q")], "completion": [message("assistant", "r")]},
    ]


def test_llama_factory_learns_the_end_of_each_row() -> None:
    rows, configuration, _ = made("llama-factory", LAST, ALONE)
    assert [row["messages"] for row in rows] == [
        [*WHOLE, message("assistant", "d")],
        [message("user", "q"), message("assistant", "r")],
    ]
    assert configuration["mask_history"] is True
    assert len(made("llama-factory", ALL)[0]) == 2
    assert "mask_history" not in made("llama-factory", ALONE)[1]


def test_axolotl_is_told_of_each_answer() -> None:
    rows, configuration, _ = made("axolotl", LAST, ALL, ALONE)
    assert [[m.get("train") for m in row["messages"] if m["role"] == "assistant"] for row in rows] == [
        [False, True],
        [True, True],
        [True],
    ]
    assert configuration["datasets"][0]["message_field_training"] == "train"
    rows, configuration, _ = made("axolotl", ALONE)
    assert "message_field_training" not in configuration["datasets"][0]
    assert "train" not in rows[0]["messages"][1]
    assert marked_row(ALONE, "x")["messages"][1] == message("assistant", "r", x=True)


def test_ms_swift_has_the_turns_written_out() -> None:
    rows, _, _ = made("ms-swift", ALL)
    assert [row["messages"][0]["content"] for row in rows] == [
        "<system>s<user>a<assistant>",
        "<system>s<user>a<assistant>b<user>c<assistant>",
    ]


def test_jsonl_has_system_and_history() -> None:
    rows, _, readme = made("jsonl", LAST)
    assert rows[0] == {
        "instruction": "c",
        "input": "",
        "output": "d",
        "system": "s",
        "history": [["a", "b"]],
        "task": "new",
        "replayed": False,
    }
    assert "the answers there carry no loss" in readme
    assert "the answers there carry loss, too" in made("jsonl", ALL)[2]


@pytest.mark.parametrize("to", ["trl", "llama-factory", "axolotl", "ms-swift"])
def test_a_conversation_without_a_template_is_refused(to: str) -> None:
    plain = PromptForm(False, "", "\n\n", "</s>")
    with pytest.raises(ConfigError, match=r"is a conversation.* set model\.prompt: chat, or export to jsonl"):
        made(to, LAST, form=plain)
