"""Other files in a workspace's folder: inscl's exports and plans, and foreign files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from inscl.data.picture_files import is_picture_file
from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import is_partial, read_json, read_jsonl
from inscl.storage.files.sealed_files import COPIES
from inscl.storage.run.ledger import LEDGER
from inscl.storage.run.run_folder import Record

__all__ = ["OtherFiles"]

_OWN = (".lock", COPIES, LEDGER, "inscl.yaml", "manifest.json", "scores.json", "metrics.json", "report.html", "log.txt")
_OWN_FOLDERS = ("memory", "stages", "discarded", "logs")


@dataclass(frozen=True)
class OtherFiles:
    """What was found.

    Attributes:
        exports: Rows that ``inscl export`` wrote.
        plans: Folders that ``inscl plan`` wrote, one a stage; whole ones only.
        pages: Pages that inscl drew.
        foreign: Everything else, which is never written to.
    """

    exports: tuple[Path, ...]
    plans: tuple[Record, ...]
    pages: tuple[Path, ...]
    foreign: tuple[Path, ...]

    @classmethod
    def of(cls, workspace: Path) -> OtherFiles:
        """Look through the folder of a workspace."""
        files = [file for file in sorted(workspace.rglob("*")) if file.is_file() and not _is_own(workspace, file)]
        folders = {file.parent for file in files}
        exports = {folder: names for folder in folders if (names := _exported(folder))}
        plans = {folder: Record(folder, 0, "") for folder in folders if _is_plan(folder)}
        models = {folder / "model" for folder in exports}
        foreign = [
            file
            for file in files
            if file.parent not in plans
            and not (is_picture_file(file) and file.parent.parent in {*plans, *exports})
            and file.name not in exports.get(file.parent, ())
            and models.isdisjoint(file.parents)
        ]
        rows = [folder / name for folder, names in sorted(exports.items()) for name in names if name.endswith(".jsonl")]
        return cls(
            exports=tuple(file for file in rows if file.exists()),
            plans=tuple(plans[folder] for folder in sorted(plans)),
            pages=tuple(file for file in sorted(workspace.glob("*.html")) if _is_page(file)),
            foreign=tuple(foreign),
        )


def _is_own(workspace: Path, file: Path) -> bool:
    parts = file.relative_to(workspace).parts
    if len(parts) == 1:
        return parts[0] in _OWN or is_partial(parts[0]) or (file.suffix == ".html" and _is_page(file))
    return parts[0] in (*_OWN_FOLDERS, COPIES)


def _is_page(file: Path) -> bool:
    try:
        return file.name == "report.html" or b"<!-- sha256 " in file.read_bytes()[-200:]
    except OSError:
        return False


def _exported(folder: Path) -> tuple[str, ...]:
    """Files of an export, by what its record says; none if it isn't one, or if its rows can't be read."""
    try:
        names = [str(name) for name in read_json(folder / "export.json")["files"]]
        for name in names:
            if name.endswith(".jsonl") and (folder / name).exists():
                read_jsonl(folder / name)
    except (WorkspaceError, KeyError, TypeError, json.JSONDecodeError):
        return ()
    return ("export.json", *(name for name in names if Path(name).name == name))


def _is_plan(folder: Path) -> bool:
    """Whether `inscl plan` wrote it, and it is as it was written."""
    record = Record(folder, 0, "")
    try:
        return record.done and "plan.json" in (record.files or {}) and not record.damaged()
    except (WorkspaceError, KeyError, TypeError, AttributeError):
        return False
