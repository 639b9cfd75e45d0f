"""``inscl learn``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inscl.cli.workspace_options import InWorkspace, Json, Yes
from inscl.contract.scale import Scale
from inscl.contract.seams import NullProgress, Progress
from inscl.data.places import shown
from inscl.errors import InsclError

if TYPE_CHECKING:
    from inscl.workspace import Workspace
    from inscl.workspace.proposing import Proposal

__all__ = ["learn"]


def learn(
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders with tasks. Omit them to resume interrupted work.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the task, if there is only one.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Examples replayed per earlier task; or total=500, share=0.5, tokens=20000."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="The replay strategy (`inscl list`).")] = None,
    eval_per_task: Annotated[
        int | None, typer.Option(help="Maximum number of test examples scored per task; always the same ones.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting for these tasks only, such as training.epochs=3."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and its cost; learn nothing.")] = False,
    workspace: InWorkspace = Path(),
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Learn new tasks without forgetting: plan, ask, train, evaluate on everything, record.

    The same command goes on after an interruption. Without a terminal nothing is asked.
    """
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_status
    from inscl.workspace import Workspace

    opened = Workspace.open(workspace)
    wish: dict[str, Any] = {
        "name": name,
        "budget": budget,
        "strategy": strategy,
        "eval_per_task": eval_per_task,
        "changes": changes or [],
    }
    if dry_run:
        _preview(opened, data or [], wish, as_json)
        return
    asking = _Asking(asks=not yes and sys.stdin.isatty() and sys.stderr.isatty(), shows=not as_json)
    try:
        with asking:
            done = opened.learn(*data or [], **wish, agreed=asking, progress=asking.progress)
    except KeyboardInterrupt:
        raise _Interrupted(workspace) from None
    if as_json:
        print_json({**done.to_json(), "refused": asking.refused})
    elif not asking.refused:
        print_status(done.status)
    if asking.refused:
        raise typer.Exit(1)


def _preview(opened: Workspace, data: Sequence[str], wish: Mapping[str, Any], as_json: bool) -> None:
    """Show the plan and its cost."""
    from inscl.cli.progress import display
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_proposal

    with display() as progress:
        proposal = opened.plan(*data, **wish, progress=progress)
    if as_json:
        print_json(proposal.to_json())
    else:
        print_proposal(proposal)


class _Asking:
    """Shows the plan and asks for confirmation, with the progress display hidden meanwhile."""

    def __init__(self, asks: bool, shows: bool) -> None:
        self._asks, self._shows = asks, shows
        self.refused = False
        self.progress = _Late()

    def __enter__(self) -> None:
        self.progress.begin()

    def __exit__(self, *details: object) -> None:
        self.progress.end()

    def __call__(self, proposal: Proposal) -> bool:
        from inscl.cli.workspace_tables import print_proposal

        self.progress.end()
        if self._shows:
            print_proposal(proposal)
        if self._asks and proposal.tasks:
            self.refused = not typer.confirm("learn this?", default=True, err=True)
        self.progress.begin()
        return not self.refused


class _Late:
    """A `Progress` whose display can be hidden and shown again."""

    def __init__(self) -> None:
        self._open: ExitStack | None = None
        self._to: Progress = NullProgress()

    def begin(self) -> None:
        """Show the display."""
        from inscl.cli.progress import display

        self._open = ExitStack()
        self._to = self._open.enter_context(display())

    def end(self) -> None:
        """Hide it."""
        if self._open is not None:
            self._open.close()
        self._open, self._to = None, NullProgress()

    def stage(self, number: int, total: int, task: str) -> None:
        """See `Progress`."""
        self._to.stage(number, total, task)

    def phase(self, name: str, total: int) -> None:
        """See `Progress`."""
        self._to.phase(name, total)

    def advance(self, done: int, **facts: Any) -> None:
        """See `Progress`."""
        self._to.advance(done, **facts)

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """See `Progress`."""
        self._to.score(task, metric, mean, scale)

    def note(self, message: str) -> None:
        """See `Progress`."""
        self._to.note(message)


class _Interrupted(InsclError):
    """Ctrl-C: finished work is kept."""

    exit_code = 130

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"stopped. Everything finished is kept in {shown(folder)}: give the same command again to resume."
        )
