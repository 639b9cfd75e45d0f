"""``inscl data``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Convert published data into streams, and inspect streams.", no_args_is_help=True)


@app.command()
def superni(
    checkout: Annotated[Path, typer.Argument(help="A checkout of natural-instructions.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(help="Output folder; it gets one Parquet file per category.", show_default=False)
    ],
    train: Annotated[int, typer.Option(help="Train examples per source task.", min=1)] = 96,
    test: Annotated[int, typer.Option(help="Test examples per source task.", min=1)] = 24,
) -> None:
    """Build the paper's 16-category stream from a checkout of natural-instructions."""
    from inscl.data.published.natural_instructions import convert

    _tell(convert(checkout, out, per_source_train=train, per_source_test=test).lines())


@app.command()
def cl_benchmark(
    checkout: Annotated[Path, typer.Argument(help="A checkout of O-LoRA or SAPT.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(help="Output folder; it gets one Parquet file per data set.", show_default=False)
    ],
) -> None:
    """Build the 15-task stream (orders olora4_*, fifteen_*), and SAPT's SuperNI-15, from a folder CL_Benchmark."""
    from inscl.data.published.cl_benchmark import convert_cl_benchmark

    _tell(convert_cl_benchmark(checkout, out).lines())


@app.command()
def trace(
    folder: Annotated[Path, typer.Argument(help="TRACE's data, with one folder per data set.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(help="Output folder; it gets one Parquet file per data set.", show_default=False)
    ],
) -> None:
    """Build TRACE's eight-task stream (order trace) from its unpacked archive."""
    from inscl.data.published.trace import convert_trace

    _tell(convert_trace(folder, out).lines())


@app.command()
def citb(
    checkout: Annotated[Path, typer.Argument(help="A checkout of CITB.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Output folder; it gets one Parquet file per task.", show_default=False)],
    stream: Annotated[str, typer.Option(help="instrdialog (19 tasks) or instrdialog++ (38).")] = "instrdialog",
    seed: Annotated[int, typer.Option(help="Seed for the choice of train samples.")] = 0,
) -> None:
    """Build CITB's InstrDialog or InstrDialog++ (orders citb_*) from a checkout of its repository."""
    from inscl.data.published.citb import convert_citb

    _tell(convert_citb(checkout, out, stream=stream, seed=seed).lines())


@app.command()
def orders() -> None:
    """List the named orders and their tasks."""
    from inscl.data.orders import ORDERS

    for name, tasks in ORDERS.items():
        typer.echo(f"{name}: {', '.join(tasks)}")


@app.command()
def show(
    path: Annotated[
        str, typer.Argument(help="A folder, a file, a YAML list, a configuration, or demo.", show_default=False)
    ],
) -> None:
    """Read a stream and show its tasks, sizes, instructions, and anything inscl noticed."""
    from inscl import load_stream
    from inscl.cli.terminal import plain

    stream = load_stream(path, leaks="allow")
    for task in stream:
        counts = f"{len(task.train)} train, {len(task.test)} test, {len(task.instructions)} instructions"
        made = Counter(example.provenance["refiner"] for example in task.train if example.provenance)
        by = "".join(f", {count} made by {name}" for name, count in made.items())
        typer.echo(plain(f"{task.name}: {counts}{by}"))
    for task in stream.held_out:
        typer.echo(plain(f"{task.name}: held out, {len(task.test)} test"))
    for finding in stream.findings:
        typer.echo(plain(f"note: {finding}"))


def _tell(lines: Iterable[str]) -> None:
    """Print lines that may hold names from someone's data."""
    from inscl.cli.terminal import plain

    for line in lines:
        typer.echo(plain(line))
