"""``inscl plan``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["plan"]


class Layout(str, Enum):
    """Rows of the mixed training file."""

    alpaca = "alpaca"
    messages = "messages"


def plan(
    config: Annotated[Path, typer.Argument(help="The configuration, a YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as replay.strategy=random."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: output_dir with -plans appended.")] = None,
    task: Annotated[str | None, typer.Option(help="Plan only the stage that learns this task.")] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A small model, by name or folder: it is trained a little, and what it forgets decides the shares "
            "(strategy measured). The configured model is not loaded.",
        ),
    ] = None,
    proxy_rows: Annotated[int, typer.Option(help="Most rows of each task that the proxy learns.")] = 64,
    proxy_probes: Annotated[int, typer.Option(help="Most rows of each task whose loss it reads.")] = 16,
    layout: Annotated[Layout, typer.Option(help="Row format of train.jsonl, for other trainers.")] = Layout.alpaca,
) -> None:
    """Plan every replay without training: picks with reasons, and the mixed file for another trainer."""
    from inscl import load_config, plan_stream
    from inscl.cli.progress import display
    from inscl.cli.tables import print_plan
    from inscl.planning.proxy import Proxy

    settings = load_config(config, changes or [])
    folder = out or Path(f"{settings.output_dir}-plans")
    with display() as progress:
        small = Proxy(proxy, proxy_rows, proxy_probes) if proxy else None
        plans = plan_stream(settings, folder, task=task, layout=layout.value, progress=progress, proxy=small)
    for made in plans:
        print_plan(made)
    typer.echo(f"plans: {folder} (plan.json, replay.jsonl and train.jsonl for each stage)")
