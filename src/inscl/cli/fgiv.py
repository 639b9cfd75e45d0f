"""``inscl fgiv``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inscl.contract.measured import Measured
    from inscl.contract.seams import Progress
    from inscl.forgetting.judge import LLMJudge

__all__ = ["fgiv"]


def fgiv(
    run: Annotated[Path, typer.Argument(help="A run folder or workspace.", show_default=False)],
    data: Annotated[
        str, typer.Argument(help="Rows and their variants, as the refiner demorecon writes them.", show_default=False)
    ],
    stage: Annotated[
        int | None, typer.Option(help="The stage to measure; 0 is the base model. Default: the last stage.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask the model which answer belongs, rather than compare likelihoods.")
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Let this chat model say whether all parts are attempted; local:NAME runs on this machine.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A field of the judge, such as base_url=URL or concurrency=8."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write every pair to this file, as JSON lines.")] = None,
) -> None:
    """Measure whether a model tells instructions apart that differ in one demand (FGIV)."""
    from inscl.cli.progress import display
    from inscl.config.loading import parameters
    from inscl.engine.fine_grained_stage import fine_grained_stage
    from inscl.errors import ConfigError, Problem
    from inscl.storage.files.atomic import write_jsonl

    fields = parameters(changes or [])
    if fields and judge is None:
        raise ConfigError([Problem("--set", "sets a field of the judge: name the judge with --judge MODEL")])
    with display() as progress:
        make = None if judge is None else lambda: _judge(judge, fields, progress)
        found = fine_grained_stage(run, data, stage, make, ask, progress)
    by = {"judge": "by the judge", "references": "more like its own reference than like the other, by Rouge-L"}
    typer.echo(f"pairs: {found.pairs}" + (f" ({found.same} with equal answers)" if found.same else ""))
    typer.echo(f"direct ({by[found.direct_by]}): {_shown(found.direct)}")
    if found.detection is None:
        typer.echo("detection: undefined, since both answers of every pair are equal")
    else:
        typer.echo(f"detection (balanced accuracy, by {found.detection_by}): {_shown(found.detection)}; chance is 50.0")
    if out is not None:
        write_jsonl(out, found.rows)
        typer.echo(f"pairs, one a line: {out}")


def _judge(model: str, fields: dict[str, object], progress: Progress) -> LLMJudge:
    from inscl.evaluation.fine_grained import ATTEMPTS_ALL
    from inscl.forgetting.judge import LLMJudge
    from inscl.llm.settings import LLMSettings

    LLMSettings.read({"model": model, **fields}, "judge")  # tells mistakes in the fields
    return LLMJudge(model, prompt=ATTEMPTS_ALL, progress=progress, **fields)  # type: ignore[arg-type]


def _shown(found: Measured) -> str:
    error = "" if found.standard_error is None else f" (standard error {100 * found.standard_error:.1f})"
    return f"{100 * found.value:.1f} percent{error}"
