"""The page that lies beside an export: what each file is, and the command that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from inscl.contract import Example
from inscl.contract.encodable import encodable
from inscl.handover.settings import Settings

__all__ = ["readme", "yaml_text"]


def readme(
    program: str,
    command: str,
    files: Mapping[str, str],
    examples: Sequence[Example],
    settings: Settings,
    notes: Sequence[str] = (),
) -> bytes:
    """The text of ``README.txt``.

    Args:
        program: Who reads the files, with the version that they were tried with.
        command: What to type in the folder; empty if there is nothing to type.
        files: What each file is.
        examples: The mix.
        settings: How it is to be trained on.
        notes: What differs from training here; those of `settings` follow.
    """
    new = sum(example.task == settings.task for example in examples)
    width = max(map(len, files))
    lines = [
        f"{len(examples)} examples for {program}: {new} of the new task {settings.task!r}, "
        f"{len(examples) - new} replayed from earlier tasks, mixed with seed {settings.seed}.",
        "",
        *(f"  {name:<{width}}  {what}" for name, what in files.items()),
        "",
    ]
    if command:
        lines += ["In this folder:", "", f"  {command}", "", f"The model to begin with is {settings.model}.", ""]
    lines += [f"- {note}" for note in (*notes, *settings.notes)]
    return encodable("\n".join(lines).rstrip("\n") + "\n").encode()


def yaml_text(values: Mapping[str, object]) -> bytes:
    """A YAML file, keys in the order given, plain values only."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True).encode()
