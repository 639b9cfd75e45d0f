"""``inscl init``."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from inscl.cli.workspace_options import Json

__all__ = ["init"]


class Keep(str, Enum):
    """What stays of the train examples of a task that was learned."""

    examples = "examples"
    instructions = "instructions"
    none = "none"


class Adapter(str, Enum):
    """What happens to the adapter between stages."""

    keep = "keep"
    merge = "merge"
    fresh = "fresh"
    none = "none"


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace to create.", show_default=False)],
    model: Annotated[
        str, typer.Option(help="The model that will learn: an alias, a hub id, a folder or a .gguf file.")
    ] = "smollm2-135m",
    adapter: Annotated[
        Adapter | None,
        typer.Option(
            help="From task to task: keep the adapter, merge it into the weights and begin another, begin a fresh one "
            "on the base model, or none: train every weight. Default: keep.",
        ),
    ] = None,
    learner: Annotated[
        str | None,
        typer.Option(help="What learns (`inscl list learners`): icl shows examples instead. Default: fine_tune."),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as training.epochs=3.")
    ] = None,
    eval_per_task: Annotated[
        int | None, typer.Option(help="Maximum number of test examples scored per task; always the same ones.")
    ] = None,
    keep: Annotated[
        Keep,
        typer.Option(
            help="What stays of a task's train examples once it is learned: the examples, only its instructions and a "
            "description of it, or none of its texts that may hold an input. Without examples, the model writes what "
            "is replayed."
        ),
    ] = Keep.examples,
    as_json: Json = False,
) -> None:
    """Create a workspace for a model that will learn one task after another."""
    from inscl.cli.terminal import plain, print_json
    from inscl.data.places import shown
    from inscl.workspace import Workspace

    chosen = [f"training.learner={json.dumps(learner)}"] if learner is not None else []
    made = Workspace.init(
        folder,
        model,
        adapter.value if adapter else None,
        changes=[*chosen, *(changes or [])],
        eval_per_task=eval_per_task,
        keep=keep.value,
    )
    if as_json:
        print_json(made.status().to_json())
    else:
        typer.echo(plain(f"workspace: {shown(folder)}. Next: inscl learn DATA -w {shown(folder)}"))
