"""``inscl list``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["list_components"]


def list_components(
    kind: Annotated[str | None, typer.Argument(help="Only this kind, such as strategies.", show_default=False)] = None,
) -> None:
    """List all components by kind (strategies, learners, adapters, ...), including plugins."""
    from inscl.cli.terminal import plain
    from inscl.config import kinds
    from inscl.errors import ConfigError, nearest

    if kind is not None and kind not in kinds.KINDS:
        raise ConfigError(f"no kind of component {kind!r}{nearest(kind, list(kinds.KINDS))}", "inscl list")
    for shown in [kind] if kind else kinds.KINDS:
        found = kinds.available(shown)
        keys = ", ".join(kinds.KINDS[shown].keys)
        typer.echo(f"{shown} ({keys}):" if found else f"{shown} ({keys}): none installed")
        width = max(map(len, found), default=0)
        for name, line in found.items():
            typer.echo(plain(f"  {name:<{width}}  {line}"))
