"""Processors of image-text models, opened where torchvision isn't installed; real models are in test_picture_tokens."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from inscl.errors import ModelError
from inscl.models.picture_processor import processor_in
from seeing_models import make_qwen, make_smolvlm

without_torchvision = pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision reads videos here")


def test_one_without_videos_is_transformers_own(tiny_llava: Path) -> None:
    assert type(processor_in(tiny_llava)).__name__ == "LlavaProcessor"


@without_torchvision
def test_one_that_reads_videos_too_is_opened_for_pictures_and_written_whole(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = make_qwen("qwen2_vl", tiny_model, tmp_path / "model"), tmp_path / "out"
    (folder / "video_preprocessor_config.json").write_text('{"video_processor_type": "Qwen2VLVideoProcessor"}')
    processor = processor_in(folder)
    made = processor(text=processor.image_token, images=[Image.new("RGB", (48, 32))], return_tensors="pt")
    assert made["image_grid_thw"].tolist() == [[1, 6, 8]]
    assert made["input_ids"].tolist() == [[processor.image_token_id] * 12]
    out.mkdir()
    processor.save_pretrained(out)
    written = ("preprocessor_config.json", "video_preprocessor_config.json", "chat_template.jinja")
    assert [(out / name).read_bytes() for name in written] == [(folder / name).read_bytes() for name in written]


@without_torchvision
def test_one_that_cant_do_without_videos_says_what_it_needs(tiny_llava: Path, tmp_path: Path) -> None:
    folder = make_smolvlm("smolvlm", tiny_llava, tmp_path)
    for name in ("processor_config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, "processor_class": "SmolVLMProcessor"}))
    (folder / "video_preprocessor_config.json").write_text('{"video_processor_type": "SmolVLMVideoProcessor"}')
    with pytest.raises(ModelError, match=r"reads videos too, .*: pip install torchvision num2words"):
        processor_in(folder)
