"""``inscl ask``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from inscl.cli.workspace_options import InWorkspace, Json

__all__ = ["ask"]


def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from standard input.", show_default=False)],
    stage: Annotated[
        int | None, typer.Option(help="The stage whose model answers; 0 is the base model. Default: the last stage.")
    ] = None,
    given: Annotated[str | None, typer.Option("--input", help="The input that the question refers to.")] = None,
    pictures: Annotated[
        list[Path] | None, typer.Option("--picture", help="A picture that the question is about; may be repeated.")
    ] = None,
    longest: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens", help="Maximum length of the answer in tokens. Default: the configured length."
        ),
    ] = None,
    workspace: InWorkspace = Path(),
    as_json: Json = False,
) -> None:
    """Ask the model of a stage a question."""
    from inscl.cli.progress import display
    from inscl.cli.terminal import plain, print_json
    from inscl.workspace import Workspace

    opened = Workspace.open(workspace)
    text = sys.stdin.read() if question == "-" else question
    prompt = f"{text}\n\n{given}" if given else text
    with display() as progress:
        answer = opened.ask(prompt, stage, max_new_tokens=longest, pictures=pictures or (), progress=progress)
    if as_json:
        print_json({"question": prompt, "answer": answer})
    else:
        typer.echo(plain(answer))
