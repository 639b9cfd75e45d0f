from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl.data import ORDERS, load_stream
from inscl.data.published.cl_benchmark import TASK_NAMES, convert_cl_benchmark, task_name
from inscl.errors import DataError

# As the two repositories lay them out: family/data set, the task's name in ORDERS, its labels.
OLORA = {
    "NLI/MNLI": ("MNLI", ["neutral", "entailment"]),
    "SC/SST-2": ("SST-2", ["Good", "Bad"]),
    "BoolQA/BoolQA": ("BoolQ", ["True", "False"]),
    "COPA/COPA": ("COPA", ["A", "B"]),
}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False))


@pytest.fixture
def olora(tmp_path: Path) -> Path:
    for folder, (_, labels) in OLORA.items():
        place = tmp_path / "olora" / "CL_Benchmark" / folder
        write(place / "labels.json", labels)
        for split, count in (("train", 4), ("dev", 2), ("test", 2)):
            rows = [{"label": labels[n % 2], "sentence": f"{folder} {split} {n}"} for n in range(count)]
            write(place / f"{split}.json", rows)
    families = {
        family: [
            {"instruction_type": "few-shot", "instruction": "not this one"},
            {"instruction_type": "zero-shot", "instruction": f"What is the {family}? Choose one from the option.\n"},
            {"instruction_type": "zero-shot", "instruction": "nor this one"},
        ]
        for family in ("NLI", "SC", "BoolQA")
    }
    write(tmp_path / "olora" / "configs" / "instruction_config.json", families)
    return tmp_path / "olora"


def sapt_file(split: str, definition: Any, output: Any, **more: Any) -> dict[str, Any]:
    instances = [{"id": str(n), "input": f"{split} {n}", "output": output, "x": float("nan")} for n in range(3)]
    return {"Definition": definition, "Positive Examples": [], "Instances": instances, **more}


@pytest.fixture
def sapt(tmp_path: Path) -> Path:
    root = tmp_path / "sapt" / "CL_Benchmark"
    for split in ("train", "dev", "test"):
        numbered = sapt_file(split, [" Answer it. \n", "Not this."], ["one", "two"], **{"Instance License": ["MIT"]})
        write(root / "SuperNI" / "task073_commonsenseqa" / f"{split}.json", numbered)
        write(root / "Long_Sequence" / "sst2" / f"{split}.json", sapt_file(split, ["Judge the text.\n"], "Good"))
        write(root / "Long_Sequence" / "copa" / f"{split}.json", sapt_file(split, [], "B"))
    write(root / "Long_Sequence" / "copa" / "labels.json", ["A", "B"])
    return tmp_path / "sapt"


def test_oloras_form(olora: Path, tmp_path: Path) -> None:
    rows = convert_cl_benchmark(olora, tmp_path / "out")
    stream = load_stream(tmp_path / "out", order="fifteen_a")
    assert stream.names == ("MNLI", "COPA", "SST-2", "BoolQ")
    assert [(len(task.train), len(task.test)) for task in stream] == [(4, 2)] * 4
    mnli, copa = stream.tasks[:2]
    assert mnli.instructions == ("What is the NLI? Choose one from the option.\nOption: neutral, entailment",)
    assert copa.instructions == ("Choose one from the option.\nOption: A, B",)
    assert [(e.input, e.outputs, e.source) for e in mnli.train[:2]] == [
        ("NLI/MNLI train 0", ("neutral",), "MNLI"),
        ("NLI/MNLI train 1", ("entailment",), "MNLI"),
    ]
    assert "BoolQ: 4 train, 2 validation, 2 test" in rows.lines()
    assert rows.notes == []


def test_sapts_form(sapt: Path, tmp_path: Path) -> None:
    convert_cl_benchmark(sapt, tmp_path / "out")
    (numbered,) = load_stream(tmp_path / "out", order="superni15_sapt_2")
    assert (numbered.name, numbered.instructions) == ("073", ("Answer it.",))
    assert numbered.train[0].outputs == ("one", "two")
    copa, sentiment = load_stream(tmp_path / "out", order="fifteen_c")
    assert (copa.name, copa.instructions) == ("COPA", ("Choose one from the option.\nOption: A, B",))
    assert (sentiment.name, sentiment.instructions) == ("SST-2", ("Judge the text.",))
    assert [(e.input, e.outputs) for e in sentiment.test] == [(f"test {n}", ("Good",)) for n in range(3)]


def test_the_folder_itself_is_enough(olora: Path, tmp_path: Path) -> None:
    convert_cl_benchmark(olora / "CL_Benchmark", tmp_path / "out")
    assert len(load_stream(tmp_path / "out")) == 4


def test_every_name_of_a_folder_leads_into_the_orders() -> None:
    assert set(TASK_NAMES.values()) == set(ORDERS["fifteen_a"])
    # The folders of both repositories, as they spell them.
    for folders in (
        "BoolQA COPA MultiRC CB MNLI RTE QQP IMDB SST-2 amazon yelp agnews dbpedia yahoo WiC",
        "agnews amazon boolq cb copa dbpedia imdb mnli multirc qqp rte sst2 wic yahoo yelp",
    ):
        assert {task_name(folder) for folder in folders.split()} == set(ORDERS["fifteen_a"])
    assert task_name("task002_quoref_answer_generation") == "002"
    assert task_name("task1290_xsum_summarization") == "1290"
    assert task_name("Mine") == "Mine"


def test_odd_answers_are_kept_and_named_and_other_files_passed_over(olora: Path, tmp_path: Path) -> None:
    folder = olora / "CL_Benchmark" / "NLI" / "MNLI"
    write(folder / "test.json", [{"label": label, "sentence": label} for label in ("-", "neutral", "-")])
    write(folder / "more.json", [])
    rows = convert_cl_benchmark(olora, tmp_path / "out")
    assert "kept: 2 test rows of MNLI whose answer is none of its labels ('-')" in rows.lines()
    assert any("passed over: 1 files" in line and "NLI/MNLI/more.json" in line for line in rows.lines())
    assert len(load_stream(tmp_path / "out", order=["MNLI"]).tasks[0].test) == 3


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("CL_Benchmark/NLI/MNLI/test.json", None, "test.json: there is no such file"),
        ("CL_Benchmark/NLI/MNLI/labels.json", None, "labels.json: there is no such file"),
        ("CL_Benchmark/NLI/MNLI/labels.json", {"a": 1}, "labels.json: a list of labels"),
        ("CL_Benchmark/NLI/MNLI/train.json", [{"sentence": "x"}], "train.json: row 1: .*text 'label'"),
        ("CL_Benchmark/NLI/MNLI/train.json", [{"label": "x"}], "train.json: row 1: .*text 'sentence'"),
        ("CL_Benchmark/NLI/MNLI/train.json", {"Instances": []}, "train.json: a list of .*Definition and Instances"),
        ("CL_Benchmark/NLI/MNLI/dev.json", {"Definition": ["x"], "Instances": [{"input": "x"}]}, "'output'"),
        ("CL_Benchmark/NLI/MNLI/train.json", "text", "a list of .* was expected"),
        ("CL_Benchmark/X/mnli/train.json", [], "this is the task 'MNLI', and .*NLI/MNLI is too"),
        ("configs/instruction_config.json", None, "instruction_config.json: there is no such file"),
        ("configs/instruction_config.json", {"SC": []}, "zero-shot instruction was expected under"),
        ("configs/instruction_config.json", {"BoolQA": [1]}, "row 1: .*text 'instruction_type'"),
    ],
)
def test_damaged_checkouts(olora: Path, tmp_path: Path, file: str, content: Any, said: str) -> None:
    if content is None:
        (olora / file).unlink()
    else:
        write(olora / file, content)
    with pytest.raises(DataError, match=said):
        convert_cl_benchmark(olora, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no CL_Benchmark/<family>/<data set>/train.json"):
        convert_cl_benchmark(tmp_path / "nowhere", tmp_path / "out")
