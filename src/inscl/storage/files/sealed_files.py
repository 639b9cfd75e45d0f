"""The few files that identify a folder: each contains its own checksum and has a copy to restore from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import json_text, write_text
from inscl.storage.files.integrity import seal, sealed_value

__all__ = [
    "COPIES",
    "copy_of",
    "keep_copy",
    "page_problem",
    "read_sealed_json",
    "read_sealed_text",
    "seal_problem",
    "signed_page",
    "write_sealed_json",
    "write_sealed_text",
]

COPIES = ".copies"
_MARK = "# sha256 "


def copy_of(path: Path) -> Path:
    """Where the copy of a sealed file stands."""
    return path.parent / COPIES / path.name


def write_sealed_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum under ``sha256``, and then its copy, each atomically.

    Raises:
        WorkspaceError: It can't be written.
    """
    text = json_text(seal(value))
    write_text(path, text)
    write_text(copy_of(path), text)


def read_sealed_json(path: Path) -> dict[str, Any]:
    """Read what `write_sealed_json` wrote, without the checksum; a damaged file is put right from its copy.

    Raises:
        WorkspaceError: It is missing or damaged, and so is its copy.
    """
    value, problem = _parsed(path)
    found = sealed_value(value)
    if found is not None:
        return found
    kept = sealed_value(_parsed(copy_of(path))[0])
    if kept is None:
        problem = problem or "its checksum isn't the one it was written with"
        raise WorkspaceError(
            f"{path} is damaged ({problem}), and there is no whole copy of it in {copy_of(path).parent}: put the file "
            "back from a backup, or choose another folder"
        )
    _put_right(path)
    return kept


def write_sealed_text(path: Path, text: str) -> None:
    """Write text that ends with a line feed, its checksum as a comment in a last line (YAML), and then its copy."""
    sealed = f"{text}{_MARK}{_checksum(text)}\n"
    write_text(path, sealed)
    write_text(copy_of(path), sealed)


def read_sealed_text(path: Path, *, restore: bool = False) -> str:
    """Read what `write_sealed_text` wrote, without the last line.

    Args:
        path: The file.
        restore: Put a file that isn't as it was written right from its copy. Otherwise it is refused, since its owner
            may have edited it.

    Raises:
        WorkspaceError: It isn't as it was written, or can't be read.
    """
    text, problem = _unsealed(path)
    if text is not None:
        return text
    copied = copy_of(path)
    if problem == "" and not copied.exists():
        return path.read_text(encoding="utf-8")
    kept, _ = _unsealed(copied)
    if kept is None:
        raise WorkspaceError(
            f"{path} isn't as inscl wrote it ({problem or 'it has no checksum'}), and there is no whole copy of it in "
            f"{copied.parent}: put the file back from a backup, or choose another folder"
        )
    if not restore:
        raise WorkspaceError(
            f"{path} isn't as inscl wrote it ({problem or 'it has no checksum'}): damaged, or edited. To have it as it "
            f"was, copy {copied} over it; to keep an edit, delete its last line and {copied}"
        )
    _put_right(path)
    return kept


def keep_copy(path: Path) -> None:
    """Write the copy of a sealed file anew if it is missing or damaged, as an interruption or a disk may leave it."""
    if path.exists() and copy_of(path).parent.exists() and not seal_problem(path):
        text = path.read_text(encoding="utf-8")
        if not copy_of(path).exists() or copy_of(path).read_bytes() != text.encode():
            write_text(copy_of(path), text)


def seal_problem(path: Path) -> str:
    """What is wrong with a sealed file or its copy; nothing if it is whole, or a text that its owner edited."""
    if not path.exists() and not copy_of(path).exists():
        return ""
    if path.suffix == ".json":
        value, problem = _parsed(path)
        whole = sealed_value(value) is not None
    else:
        text, problem = _unsealed(path)
        edited = problem == "" and not copy_of(path).exists() and path.parent.name != COPIES
        whole = text is not None or edited
    told = "is damaged" if path.suffix == ".json" else "isn't as inscl wrote it"
    return "" if whole else f"{told} ({problem or 'its checksum is another'})"


def signed_page(page: str) -> str:
    """An HTML page with its checksum in a comment at its end."""
    return f"{page}<!-- sha256 {_checksum(page)} -->\n"


def page_problem(path: Path) -> str:
    """What is wrong with a page that `signed_page` made; nothing if it is whole, or not there."""
    if not path.exists():
        return ""
    page, mark, written = path.read_bytes().decode(errors="replace").rpartition("<!-- sha256 ")
    if not mark:
        return "isn't as inscl wrote it (it has no checksum)"
    whole = written == f"{_checksum(page)} -->\n"
    return "" if whole else "isn't as inscl wrote it (its checksum is another)"


def _put_right(path: Path) -> None:
    try:
        write_text(path, copy_of(path).read_text(encoding="utf-8"))
    except (OSError, WorkspaceError):
        return  # a folder that can only be read: what was asked for is known all the same


def _parsed(path: Path) -> tuple[Any, str]:
    try:
        return json.loads(path.read_bytes()), ""
    except OSError as error:
        return None, error.strerror or str(error)
    except (ValueError, RecursionError) as error:
        return None, str(error)


def _unsealed(path: Path) -> tuple[str | None, str]:
    """The text above the checksum, if it is whole; otherwise what is wrong, nothing where there is no checksum."""
    try:
        content = path.read_bytes().decode()
    except OSError as error:
        return None, error.strerror or str(error)
    except ValueError as error:
        return None, str(error)
    text, mark, written = content.rpartition(_MARK)
    if not mark:
        return None, ""
    whole = written == f"{_checksum(text)}\n"
    return (text, "") if whole else (None, "its checksum isn't the one it was written with")


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
