"""Models that would run code: pickled weights, and modules of their own."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from inscl.errors import ModelError
from inscl.models import foreign_code as model_code
from inscl.models import names as model_names


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What looks like a model with safetensors weights."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (made / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return made


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "weights.pkl", "last.ckpt"])
def test_pickled_weights_are_refused_unread(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "owned")))
    for use in (model_names.resolve, model_names.fingerprint):
        with pytest.raises(ModelError, match=rf"{name}, which could run code.*save the model as safetensors"):
            use(folder)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoConfig": "somebody/else--evil.Config"}}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("generation_config.json", {"auto_map": {"x": "y"}}),
        ("modules.json", [{"idx": 0, "path": "", "type": "evil.Pooling"}]),
        ("modules.json", [{"idx": 0, "path": "", "type": "os.system"}]),
    ],
)
def test_a_model_that_brings_code_is_refused(folder: Path, file: str, content: object) -> None:
    (folder / "evil.py").write_text("raise SystemExit('owned')")
    assert model_names.resolve(folder) == folder  # a module that nothing names is never imported
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ModelError, match=rf"brings code of its own.*{file}.*INSCL_ALLOW_MODEL_CODE"):
        model_names.resolve(folder)


def test_it_is_allowed_by_name_and_for_that_model_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "mine.Config"}}))
    monkeypatch.setenv(model_code.ALLOWED, str(tmp_path / "another"))
    with pytest.raises(ModelError, match="brings code"):
        model_names.resolve(folder)
    monkeypatch.setenv(model_code.ALLOWED, f"{tmp_path / 'another'}:{folder}")
    assert model_names.resolve(folder) == folder
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert model_names.resolve(folder) == folder
    before = model_names.fingerprint(folder)
    (folder / "pytorch_model.bin").write_bytes(b"other weights")
    assert model_names.fingerprint(folder) != before
    monkeypatch.delenv(model_code.ALLOWED)
    with pytest.raises(ModelError):
        model_names.resolve(folder)


def test_a_hub_id_allows_its_own_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model_code.ALLOWED, "some/model")
    assert model_code.allowed(tmp_path / "models--some--model" / "snapshots" / "0")
    assert not model_code.allowed(tmp_path / "models--some--model2" / "snapshots" / "0")
    assert not model_code.allowed(tmp_path / "some" / "model")


def test_a_projection_with_pickled_weights(folder: Path) -> None:
    module = {"idx": 0, "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([module]))
    assert model_names.resolve(folder) == folder
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"pickled weights 2_Dense/pytorch_model\.bin"):
        model_names.resolve(folder)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ud800"])
def test_a_damaged_configuration(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"config\.json can't be read"):
        model_names.resolve(folder)
