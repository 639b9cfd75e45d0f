"""The processor of an image-text model, for pictures alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from inscl.errors import MissingExtraError, ModelError
from inscl.models import names as model_names
from inscl.storage.files.atomic import read_json

__all__ = ["processor_in"]

_FILES = (
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "chat_template.json",
    "chat_template.jinja",
)


def processor_in(folder: Path) -> Any:
    """The processor that transformers has for the model in a folder.

    Those that read videos too (Qwen-VL's and others) can't be opened without torchvision, which decodes them. Such a
    one is then opened without that part: nothing here reads videos.

    Raises:
        MissingExtraError: Pillow isn't installed.
        ModelError: The folder can't be read as one, or another package is missing.
    """
    from inscl.models.shared_weights import load

    try:
        return load("AutoProcessor", folder)
    except ImportError as error:
        missing = [name for name in ("torchvision", "num2words") if name in str(error).lower()]
        if not missing:
            what = f"the processor of the image-text model in {folder}"
            raise MissingExtraError(what, "images", "pillow") from error
        found = _without_videos(folder) if missing == ["torchvision"] else None
        if found is None:
            raise ModelError(
                f"the processor of the image-text model in {folder} reads videos too, and can't be opened without what "
                "that needs: pip install torchvision num2words"
            ) from error
        return found


def _without_videos(folder: Path) -> Any | None:
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES as KINDS

    kind = getattr(transformers, KINDS.get(read_json(folder / "config.json").get("model_type")) or "", None)
    if kind is None:
        return None

    class OfPictures(kind):  # type: ignore[misc, valid-type]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if "video" not in name]

        def save_pretrained(self, save_directory: Path, **_: Any) -> None:
            """Copy the files that it was read from, so that whoever has torchvision opens all of it."""
            for name in _FILES:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, Path(save_directory) / name)

    OfPictures.__name__ = kind.__name__  # what it writes names its class
    try:
        with model_names.quiet():
            return OfPictures.from_pretrained(folder)
    except (ImportError, TypeError):  # it needs torchvision for pictures, or can't do without videos
        return None
