from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from inscl.contract import Example
from inscl.contract.example import Image
from inscl.handover import TARGETS
from inscl.handover.settings import Lora, PromptForm, Settings

EXAMPLES = [
    Example("Say it", "loud", ("LOUD", "Loud"), "new"),
    Example("Count\n", "", ("3",), "old"),
    Example("Ünï 👩\u200d👧", "a\u2028b", ("x\ny",), "new"),
]
CHAT = PromptForm(True, "<u>", "</u><a>", "</a>", "LlamaForCausalLM")
PLAIN = PromptForm(False, "", "\n\n", "</a>", "LlamaForCausalLM")
SETTINGS = Settings("some/model", "new", 5e-5, 1.5, 4, 512, 7, Lora(8, 12.0, 0.1, "all-linear"), "fp32", False, CHAT)
PROMPTS = ["Say it\n\nloud", "Count\n", "Ünï 👩\u200d👧\n\na\u2028b"]
ANSWERS = ["LOUD", "3", "x\ny"]


def made(to: str, settings: Settings = SETTINGS) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, bytes]]:
    """Rows of ``train.jsonl``, the configuration, and all files."""
    files = TARGETS[to](EXAMPLES, settings)
    rows = [json.loads(line) for line in files["train.jsonl"].decode().split("\n") if line]
    configuration = next((yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")), {})
    return rows, configuration, files


def turns(rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """What user and assistant say, row by row."""
    for row in rows:
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
    return tuple([row["messages"][k]["content"] for row in rows] for k in (0, 1))  # type: ignore[return-value]


@pytest.mark.parametrize("to", TARGETS)
def test_what_every_export_says(to: str) -> None:
    rows, configuration, files = made(to)
    said = files["README.txt"].decode()
    assert len(rows) == 3
    assert "3 examples" in said
    assert "2 of the new task 'new', 1 replayed" in said
    for name in files:
        assert name == "README.txt" or name in said
    if configuration:
        # The same settings, in each program's own words.
        flat = json.dumps(configuration)
        for value in ('"some/model"', "5e-05", "1.5", "512", "0.1"):
            assert value in flat
        ours = {key for key, value in configuration.items() if value == 7 and "seed" in key}
        assert "seed" in ours


def test_jsonl_rows() -> None:
    rows, _, _ = made("jsonl")
    assert rows[:2] == [
        {"instruction": "Say it", "input": "loud", "output": "LOUD", "task": "new", "replayed": False},
        {"instruction": "Count\n", "input": "", "output": "3", "task": "old", "replayed": True},
    ]


def test_provenance_stands_in_plain_rows_alone() -> None:
    provenance = {"parent": "00112233445566aa", "refiner": "tidy", "version": "1", "how": "tidied"}
    examples = [replace(EXAMPLES[0], provenance=provenance), *EXAMPLES[1:]]
    for to, target in TARGETS.items():
        files = target(examples, SETTINGS)
        rows = [json.loads(line) for line in files["train.jsonl"].decode().split("\n") if line]
        assert [set(row) & {"provenance"} for row in rows] == [{"provenance"} if to == "jsonl" else set()] * 3
        assert ("provenance says" in files["README.txt"].decode()) == (to == "jsonl")
        if to == "jsonl":
            assert [row["provenance"] and json.loads(row["provenance"]) for row in rows] == [provenance, "", ""]


def test_trl() -> None:
    rows, configuration, _ = made("trl")
    assert [row["prompt"] for row in rows] == [[{"role": "user", "content": text}] for text in PROMPTS]
    assert [row["completion"] for row in rows] == [[{"role": "assistant", "content": text}] for text in ANSWERS]
    assert configuration["datasets"] == [{"path": "json", "data_files": "train.jsonl", "split": "train"}]
    assert (configuration["use_peft"], configuration["lora_r"], configuration["lora_alpha"]) == (True, 8, 12)
    assert configuration["per_device_train_batch_size"] == 4
    assert configuration["completion_only_loss"] is True
    assert configuration["bf16"] is False
    plain, _, _ = made("trl", replace(SETTINGS, form=PLAIN))
    assert plain[0] == {"prompt": "Say it\n\nloud\n\n", "completion": "LOUD"}


def test_llama_factory() -> None:
    rows, configuration, files = made("llama-factory")
    assert turns(rows) == (PROMPTS, ANSWERS)
    described = json.loads(files["dataset_info.json"])[configuration["dataset"]]
    assert described["file_name"] in files
    assert (described["formatting"], described["columns"]) == ("sharegpt", {"messages": "messages"})
    assert (described["tags"]["user_tag"], described["tags"]["role_tag"]) == ("user", "role")
    assert (configuration["stage"], configuration["do_train"], configuration["dataset_dir"]) == ("sft", True, ".")
    assert (configuration["finetuning_type"], configuration["lora_rank"], configuration["lora_target"]) == (
        "lora",
        8,
        "all",
    )
    assert "template" not in configuration
    plain, configuration, _ = made("llama-factory", replace(SETTINGS, form=PLAIN))
    assert turns(plain)[0][0] == "Say it\n\nloud\n\n"
    assert turns(plain)[1][0] == "LOUD</a>"  # the template `empty` ends nothing
    assert configuration["template"] == "empty"


def test_axolotl() -> None:
    rows, configuration, _ = made("axolotl")
    assert turns(rows) == (PROMPTS, ANSWERS)
    (data,) = configuration["datasets"]
    assert (data["path"], data["type"], data["roles_to_train"]) == ("train.jsonl", "chat_template", ["assistant"])
    assert configuration["chat_template"] == "tokenizer_default"
    assert (configuration["adapter"], configuration["lora_r"], configuration["lora_target_linear"]) == ("lora", 8, True)
    plain, configuration, _ = made("axolotl", replace(SETTINGS, form=PLAIN))
    assert plain[0]["segments"] == [
        {"label": False, "text": "Say it\n\nloud\n\n"},
        {"label": True, "text": "LOUD</a>"},
    ]
    assert configuration["datasets"][0]["type"] == "input_output"


def test_ms_swift_prompts_are_written_out() -> None:
    rows, configuration, _ = made("ms-swift")
    assert turns(rows) == ([f"<u>{text}</u><a>" for text in PROMPTS], ANSWERS)
    assert (configuration["template"], configuration["model_type"]) == ("dummy", "llama")
    assert configuration["dataset"] == ["train.jsonl"]
    unknown = replace(SETTINGS, form=replace(CHAT, architecture="OwnForCausalLM"))
    assert "model_type" not in made("ms-swift", unknown)[1]


def with_pictures(to: str, **form: Any) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, bytes]]:
    """Two rows about pictures and one without, as `made`."""
    images = [Image(f"{k}.png", f"{k}" * 64) for k in range(2)]
    examples = [
        replace(EXAMPLES[0], images=tuple(images)),
        Example("Name <image>.", "", ("it",), "old", images=(images[1],)),
        EXAMPLES[1],
    ]
    names = {image.digest: f"images/{image.path}" for image in images}
    files = TARGETS[to](examples, replace(SETTINGS, pictures=names, form=replace(CHAT, **form)))
    rows = [json.loads(line) for line in files["train.jsonl"].decode().split("\n") if line]
    configuration = next((yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")), {})
    return rows, configuration, files


@pytest.mark.parametrize("to", ["llama-factory", "ms-swift"])
@pytest.mark.parametrize("chat", [True, False])
def test_messages_with_pictures(to: str, chat: bool) -> None:
    rows, _, files = with_pictures(to, chat=chat)
    assert [row["images"] for row in rows] == [["images/0.png", "images/1.png"], ["images/1.png"], []]
    asked, said = turns(rows)
    assert asked == ["<image><image>\nSay it\n\nloud", "Name <image>.", "Count\n"]
    assert said == ["LOUD", "it", "3"]
    assert "column images" in files["README.txt"].decode()


def test_llama_factory_is_told_of_the_column_and_the_template() -> None:
    _, configuration, files = with_pictures("llama-factory", architecture="LlavaForConditionalGeneration")
    description = json.loads(files["dataset_info.json"])["inscl"]
    assert description["columns"] == {"messages": "messages", "images": "images"}
    assert configuration["template"] == "llava"
    assert "template" not in with_pictures("llama-factory", architecture="Unheard", chat=False)[1]


def test_ms_swift_chooses_its_own_template_for_pictures() -> None:
    _, configuration, _ = with_pictures("ms-swift", architecture="LlavaForConditionalGeneration")
    assert "template" not in configuration
    # Three of its types share that class, so that it can't tell by itself.
    assert configuration["model_type"] == "llava1_5_hf"
    assert "model_type" not in with_pictures("ms-swift", architecture="Qwen2VLForConditionalGeneration")[1]


def test_jsonl_rows_with_pictures() -> None:
    rows, _, files = with_pictures("jsonl")
    assert [row["images"] for row in rows] == [["images/0.png", "images/1.png"], ["images/1.png"], []]
    assert [row["instruction"] for row in rows] == ["<image><image>\nSay it", "Name <image>.", "Count\n"]
    assert "images names their files" in files["README.txt"].decode()


def test_every_weight() -> None:
    whole = replace(SETTINGS, lora=None)
    assert "use_peft" not in made("trl", whole)[1]
    assert made("llama-factory", whole)[1]["finetuning_type"] == "full"
    assert "adapter" not in made("axolotl", whole)[1]
    assert made("ms-swift", whole)[1]["tuner_type"] == "full"


def test_named_modules_and_a_scale_that_is_no_whole_number() -> None:
    some = replace(SETTINGS, lora=Lora(4, 6.5, 0.0, ["q_proj", "v_proj"]))
    assert made("trl", some)[1]["lora_target_modules"] == ["q_proj", "v_proj"]
    assert made("llama-factory", some)[1]["lora_target"] == "q_proj,v_proj"
    assert made("axolotl", some)[1]["lora_target_modules"] == ["q_proj", "v_proj"]
    assert made("ms-swift", some)[1]["target_modules"] == ["q_proj", "v_proj"]
    assert {made(to, some)[1]["lora_alpha"] for to in ("trl", "llama-factory", "axolotl", "ms-swift")} == {6.5}


def test_arguments_of_the_run_win_and_what_axolotl_has_no_name_for_is_named() -> None:
    more = replace(SETTINGS, more={"gradient_accumulation_steps": 3, "adam_beta1": 0.8})
    for to in ("trl", "llama-factory", "ms-swift"):
        configuration = made(to, more)[1]
        assert (configuration["gradient_accumulation_steps"], configuration["adam_beta1"]) == (3, 0.8)
    _, configuration, files = made("axolotl", more)
    assert configuration["gradient_accumulation_steps"] == 3
    assert b"adam_beta1" in files["README.txt"]
    assert "adam_beta1" not in configuration


def test_bf16_that_was_off_here_only() -> None:
    _, configuration, files = made("trl", replace(SETTINGS, precision="auto"))
    assert configuration["bf16"] is False
    assert b"set `bf16: true`" in files["README.txt"]
    assert made("axolotl", replace(SETTINGS, precision="auto"))[1]["bf16"] == "auto"
    assert b"bf16: true" not in made("trl")[2]["README.txt"]
