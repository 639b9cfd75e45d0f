from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from inscl.data import ORDERS, load_stream
from inscl.data.published.citb import STREAMS, convert_citb
from inscl.errors import ConfigError, DataError

COUNTS = {"instrdialog": 620, "instrdialog++": 170}


def write_checkout(root: Path, stream: str, count: int, repeated: bool = False) -> Path:
    names = ORDERS["citb_instrdialog_1" if stream == "instrdialog" else "citb_instrdialog_plus_1"]
    for folder in ("tasks", "splits/CIT_splits"):
        (root / "data" / folder).mkdir(parents=True)
    (root / "data" / "splits" / "CIT_splits" / STREAMS[stream].listing).write_text("\n".join(sorted(names)))
    for name in names:
        instances = [{"input": f"{n}", "output": [f"out {n}", "or this"]} for n in range(count)]
        task = {
            "Definition": [f"Do {name}."],
            "Categories": ["Dialogue Generation"],
            "Input_language": ["English"],
            "Output_language": ["English"],
            "Instance License": ["MIT"],
            "Instances": [*instances, instances[0]] if repeated else instances,
        }
        (root / "data" / "tasks" / f"{name}.json").write_text(json.dumps(task))
    return root


@pytest.mark.parametrize(
    ("stream", "order", "tasks", "train", "test"),
    [("instrdialog", "citb_instrdialog_2", 19, 500, 50), ("instrdialog++", "citb_instrdialog_plus_3", 38, 100, 25)],
)
def test_both_streams(tmp_path: Path, stream: str, order: str, tasks: int, train: int, test: int) -> None:
    checkout = write_checkout(tmp_path / "citb", stream, COUNTS[stream])
    rows = convert_citb(checkout, tmp_path / "out", stream=stream)
    read = load_stream(tmp_path / "out", order=order)
    assert read.names == ORDERS[order]
    assert len(read) == tasks
    for task in read:
        assert task.instructions == (f"Do {task.name}.",)
        # The repository's rule: the first instances are tested on, the next ones are validation.
        assert [example.input for example in task.test] == [str(n) for n in range(test)]
        assert len({example.input for example in task.train}) == len(task.train) == train
        assert min(int(example.input) for example in task.train) >= 2 * test
        assert task.train[0].outputs[1] == "or this"
        written = parquet.read_table(tmp_path / "out" / f"{task.name}.parquet").to_pylist()
        validation = [row["input"] for row in written if row["split"] == "validation"]
        assert validation == [str(n) for n in range(test, 2 * test)]
        assert {row["license"] for row in written} == {"MIT"}
    rest = COUNTS[stream] - 2 * test
    assert rows.notes[0].startswith(f"not taken: {rest - train} of ")
    assert rows.notes[0].endswith(f"{rest} train instances")


def test_the_sample_depends_on_the_seed_alone(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "citb", "instrdialog++", 170)
    chosen = []
    for number, seed in enumerate((0, 0, 1)):
        convert_citb(checkout, tmp_path / str(number), stream="instrdialog++", seed=seed)
        chosen.append([e.input for e in load_stream(tmp_path / str(number)).tasks[0].train])
    assert chosen[0] == chosen[1] != chosen[2]


def test_few_instances_and_repeated_ones(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "citb", "instrdialog", 104, repeated=True)
    rows = convert_citb(checkout, tmp_path / "out")
    assert all(len(task.train) == 4 for task in load_stream(tmp_path / "out"))
    assert len(rows.notes) == 19
    assert rows.notes[0].startswith("left out: 1 train rows of ")


def test_damaged_checkouts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cl_dialogue_tasks.txt: there is no such file"):
        convert_citb(tmp_path / "nowhere", tmp_path / "out")
    checkout = write_checkout(tmp_path / "citb", "instrdialog", 100)
    with pytest.raises(DataError, match=r"\.json: 100 instances; more than 100 were expected"):
        convert_citb(checkout, tmp_path / "out")
    name = ORDERS["citb_instrdialog_1"][0]
    (checkout / "data" / "tasks" / f"{name}.json").unlink()
    with pytest.raises(DataError, match=f"cl_dialogue_tasks.txt: 1 of its 19 tasks .*{name}"):
        convert_citb(checkout, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"no stream 'dialog'.*did you mean 'instrdialog'"):
        convert_citb(checkout, tmp_path / "out", stream="dialog")
    assert not (tmp_path / "out").exists()
