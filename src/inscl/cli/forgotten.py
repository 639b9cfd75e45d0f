"""``inscl forgotten``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from inscl.contract.scale import Scale
    from inscl.forgetting.case import ForgottenCase
    from inscl.forgetting.of_run import Forgetting

__all__ = ["forgotten"]

_SHOWN = 5
_LENGTH = 90  # characters of a text shown


def forgotten(
    run: Annotated[Path, typer.Argument(help="A run folder or workspace.", show_default=False)],
    right: Annotated[float, typer.Option(help="Minimum score at which an answer was right.")] = 0.9,
    wrong: Annotated[float, typer.Option(help="An answer is wrong now if its score is below this.")] = 0.5,
    drop: Annotated[
        float | None, typer.Option(help="Use this rule instead: the score got worse by more than this.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The score to use. Default: the first that marks answers as right.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Learn from this stream what answers look like. Default: the run's examples.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write every case to this file, as JSON lines.")] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Let this chat model decide instead of the built-in check; local:NAME runs on this machine.",
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(help="Address of the judge's server, up to /v1. Default: $OPENAI_BASE_URL, or else OpenAI."),
    ] = None,
    api_key_env: Annotated[
        str, typer.Option(help="Environment variable that holds the server's key; it is read from nowhere else.")
    ] = "OPENAI_API_KEY",
    concurrency: Annotated[int, typer.Option(help="Concurrent requests.")] = 4,
    max_retries: Annotated[int, typer.Option(help="Retries after transient failures.")] = 5,
    timeout: Annotated[float, typer.Option(help="Seconds allowed for each attempt.")] = 60.0,
    price_per_million_input: Annotated[float | None, typer.Option(help="Price of a million input tokens.")] = None,
    price_per_million_output: Annotated[float | None, typer.Option(help="Price of a million output tokens.")] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only show what judging would cost; ask nothing.")
    ] = False,
) -> None:
    """List the answers that a run forgot, and whether the new ones still attempt what was asked."""
    from inscl.data import load_stream
    from inscl.errors import ConfigError, Problem
    from inscl.forgetting.of_run import forgotten_of_run
    from inscl.storage.files.atomic import write_jsonl

    if estimate and judge is None:
        raise ConfigError([Problem("--estimate", "estimates a judge's cost: name the judge with --judge MODEL")])
    asking = {
        "base_url": base_url,
        "api_key_env": api_key_env,
        "concurrency": concurrency,
        "max_retries": max_retries,
        "timeout": timeout,
        "price_per_million_input": price_per_million_input,
        "price_per_million_output": price_per_million_output,
    }

    # Only train references are read, so a test row that also stands in train does no harm here.
    given = None if stream is None else load_stream(stream, leaks="allow")
    found = forgotten_of_run(run, right, wrong, drop, metric, given)
    if judge is not None:
        found = _judged(found, judge, asking, estimate)
    if estimate:
        return
    _print(found)
    if out is not None:
        write_jsonl(out, [case.to_json() for case in found.cases])
        typer.echo(f"cases: {out}")


def _judged(found: Forgetting, model: str, asking: dict[str, Any], estimate: bool) -> Forgetting:
    """What the judge says, after its cost is shown; only the cost if that is all that was asked for."""
    from inscl.cli.progress import display
    from inscl.forgetting.judge import LLMJudge
    from inscl.forgetting.of_run import judged

    typer.echo(f"judging by {model}: {LLMJudge(model, **asking).estimate(found.questions)}")
    if estimate:
        return found
    with display() as progress:
        return judged(found, LLMJudge(model, **asking, progress=progress))


def _print(found: Forgetting) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from inscl.cli.terminal import plain

    console = Console()
    console = console if console.is_terminal else Console(width=200)
    rule = found.rule
    said = (
        f"worse by more than {rule.drop:g}" if rule.drop is not None else f"from >= {rule.right:g} to < {rule.wrong:g}"
    )
    title = f"forgotten by stage {found.stage}: {found.metric} {said}"
    table = Table(title=Text(title), box=box.SIMPLE, title_justify="left")
    for heading in ("task", "compared", "forgotten", "related", "unrelated", "unrelated ones look like"):
        table.add_column(heading, justify="left" if heading in ("task", "unrelated ones look like") else "right")
    counted = ("compared", "forgotten", "related", "unrelated")
    for task, share in found.shares.items():
        resembled = ", ".join(f"{other} {count}" for other, count in share["looks_like"].items())
        table.add_row(Text(plain(task)), *(str(share[name]) for name in counted), Text(plain(resembled)))
    sums = [sum(share[name] for share in found.shares.values()) for name in counted]
    table.add_row("all", *map(str, sums), "")
    console.print(table)
    for case in _chosen(found.cases, rule.scale):
        # An answer to another instruction of the same task is unrelated too.
        other = "another instruction" if case.looks_like == case.task else case.looks_like or "no task"
        kind = "related" if case.related else f"unrelated, looks like {other}"
        lines = (f"{case.task} ({kind})", f"  asked:  {_short(case.instruction)}", f"  right:  {_short(case.before)}")
        console.print(Text(plain("\n".join((*lines, f"  now:    {_short(case.end)}")))))


def _chosen(cases: list[ForgottenCase], scale: Scale) -> list[ForgottenCase]:
    """A few cases, the largest fall first, unrelated before related."""
    return sorted(cases, key=lambda case: (case.related, -scale.lost(case.score_before, case.score_end)))[:_SHOWN]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"
