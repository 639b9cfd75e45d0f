"""The commands together, and what is printed when one fails."""

from __future__ import annotations

import errno
import os
import sys

import typer

from inscl.cli import (
    ask,
    bench,
    data,
    demo,
    diff,
    doctor,
    embed,
    erase,
    evaluate,
    export,
    fgiv,
    forgotten,
    gate,
    init,
    learn,
    listening,
    listing,
    log,
    plan,
    prune,
    refine,
    report,
    rollback,
    run,
    status,
    tag,
)
from inscl.engine.processes import joined, rank, world_size
from inscl.errors import InsclError, UserError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Teach a language model one task after another, and limit how much it forgets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Add --debug to any command to see the traceback of a failure.",
)
app.command("run")(run.run)
app.command("init")(init.init)
app.command("learn")(learn.learn)
app.command("status")(status.status)
app.command("log")(log.log)
app.command("diff")(diff.diff)
app.command("ask")(ask.ask)
app.command("gate")(gate.gate)
app.command("rollback")(rollback.rollback)
app.command("prune")(prune.prune)
app.command("erase")(erase.erase)
app.command("plan")(plan.plan)
app.command("tag")(tag.tag)
app.command("embed")(embed.embed)
app.command("evaluate")(evaluate.evaluate)
app.command("forgotten")(forgotten.forgotten)
app.command("fgiv")(fgiv.fgiv)
app.command("listening")(listening.listening)
app.command("bench")(bench.bench)
app.command("refine")(refine.refine)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("list")(listing.list_components)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.add_typer(data.app, name="data")


def _version(value: bool) -> None:
    if value:
        from inscl import __version__

        typer.echo(f"inscl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Options that come before any command."""


def main() -> None:
    """Run the command line; exit code 2 for the user's mistakes, 1 for failures, 130 for Ctrl-C."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        _run(arguments)
    except InsclError as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except MemoryError:
        _fail("out of memory: free some memory, then give the same command again; finished work is kept", 1)
    except BrokenPipeError:
        # The reader went away (as `inscl list | head` does): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        advice = ": free space there, then give the same command again" if error.errno == errno.ENOSPC else ""
        _fail(f"{error.filename or 'input or output'}: {error.strerror or error}{advice}", 1)
    except Exception as error:
        if debug:
            raise
        _fail(f"unexpected {type(error).__name__}: {error}\nThis is a defect of inscl; --debug shows where.", 1)


def _run(arguments: list[str]) -> None:
    """Run a command; as one of several processes that aren't the first, do what the first one tells."""
    if world_size() == 1:
        app(arguments, prog_name="inscl")
        return
    if arguments[:1] == ["bench"]:
        raise UserError("a comparison starts processes of its own: give `inscl bench` without torchrun or accelerate")
    with joined() as others:
        if rank() == 0 or others is None:
            app(arguments, prog_name="inscl")
            return
        from inscl.engine.parts import Parts
        from inscl.engine.spread import follow

        follow(others, lambda config: Parts.of(config).new_learner())


def _fail(message: str, code: int) -> None:
    from inscl.cli.terminal import plain

    sys.stdout.flush()
    sys.stderr.write(f"error: {plain(message)}\n")
    sys.exit(code)
