"""Results of workspace commands, shown on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inscl.cli.terminal import cell, console, plain

if TYPE_CHECKING:
    from rich.table import Table

    from inscl.contract.scale import Scale
    from inscl.storage.run.ledger import Event
    from inscl.workspace.differing import Difference
    from inscl.workspace.erasing import Erasure
    from inscl.workspace.estimates import Estimate
    from inscl.workspace.gating import Gate
    from inscl.workspace.proposing import Proposal
    from inscl.workspace.status import Status

__all__ = [
    "amount",
    "print_difference",
    "print_erasure",
    "print_events",
    "print_gate",
    "print_proposal",
    "print_status",
]

_LENGTH = 100  # characters of a text shown


def print_proposal(proposal: Proposal) -> None:
    """The plan of every stage to come, and what it will cost."""
    from inscl.cli.tables import print_plan

    screen = console()
    for line in proposal.notes:
        screen.print(cell(f"note: {line}"))
    if proposal.continued:
        screen.print(cell(f"resumes: {', '.join(proposal.continued)}"))
    for task in proposal.tasks:
        print_plan(task.plan)
        screen.print(cell(f"stage {task.stage} {task.name}: {task.train} train and {task.test} test examples"))
        screen.print(cell(f"cost: {_cost(task.estimate)}"))
    if not proposal.tasks:
        screen.print("nothing new to learn")


def print_status(status: Status) -> None:
    """Tasks with their scores, and disk usage."""
    screen = console()
    counted = f"{len(status.tasks)} task{'' if len(status.tasks) == 1 else 's'}"
    screen.print(cell(f"{status.path}: {status.model}, adapter {status.adapter}, {counted} learned"))
    if status.tasks:
        leading, scale = next(iter(status.metrics.items()))
        table = _table("stage", "task", "train", "test", *(f"{leading} {name}" for name in ("first", "best", "now")))
        for task in status.tasks:
            score = task.scores.get(leading)
            numbers = ("–", "–", "–") if score is None else map(scale.text, (score.first, score.best, score.now))
            gone = f" ({_counted(task.erased, 'example')} erased)" if task.erased else ""
            table.add_row(*map(cell, (task.stage, task.name + gone, task.train, task.test, *numbers)))
        screen.print(table)
    screen.print(
        cell(
            f"memory: {_counted(status.examples, 'example')}, {amount(status.memory_bytes)}; "
            f"stages: {amount(status.stages_bytes)}; set aside: {amount(status.discarded_bytes)}"
        )
    )
    if status.keep != "examples":
        screen.print(cell(f"keeps {status.keep}: the train examples of a task go when it is learned"))
    if status.discarded:
        screen.print(cell(f"rolled back, not pruned: {', '.join(status.discarded)}"))
    for problem in status.problems:
        screen.print(cell(f"unfinished: {problem}"))


def print_events(events: tuple[Event, ...]) -> None:
    """The history, oldest first."""
    table = _table("when", "what", "which", "settings", "cost")
    for event in events:
        facts = event.facts
        cost = facts.get("cost", {})
        seconds = sum(cost.get(name) or 0 for name in ("plan", "train", "evaluate"))
        shown = f"{cost.get('tokens') or 0} tokens, {cost.get('picks', 0)} replayed, {seconds:.0f} s" if cost else ""
        settings = ", ".join(facts.get("settings", []))
        table.add_row(*map(cell, (event.when, event.what, _which(event), settings, shown)))
    console().print(table)


def print_difference(found: Difference, most: int) -> None:
    """Scores of two stages, then the answers that lost most."""
    screen, scale = console(), found.scale
    digits = 2 if scale.unit == "percent" else scale.digits
    table = _table("task", f"stage {found.first}", f"stage {found.second}", "change")
    for task in found.tasks:
        numbers = (_number(task.before, scale), _number(task.after, scale), _number(task.change, scale, "+"))
        table.add_row(*map(cell, (task.task, *numbers)))
    said = f"{found.metric}, {scale.unit}, {scale.better} is better"
    screen.print(cell(f"{said}; {len(found.answers)} of {found.compared} answers differ"))
    screen.print(table)
    for line in found.notes:
        screen.print(cell(f"note: {line}"))
    for answer in found.answers[:most]:
        lines = (
            f"{answer.task}: {answer.score_before:.{digits}f} → {answer.score_after:.{digits}f}",
            f"  asked:  {_short(answer.instruction)}" + (f" | {_short(answer.input)}" if answer.input else ""),
            f"  right:  {_short(answer.references[0] if answer.references else '')}",
        )
        both = [("before", answer.before), ("after", answer.after)]
        texts = [f"  {when + ':':<7} {_short(text)}" for when, text in both if text is not None]
        screen.print(cell("\n".join([*lines, *texts])))


def print_gate(found: Gate) -> None:
    """Whether the gate is open, and which checks failed."""
    screen = console()
    verdict = "passed" if found.passed else "failed"
    failed = len(found.failures)
    screen.print(
        cell(f"gate {verdict}: stage {found.stage}, {found.metric}, {failed} of {found.checked} checks failed")
    )
    for failure in found.failures:
        screen.print(cell(f"  - {failure.message}"))
    for line in found.notes:
        screen.print(cell(f"note: {line}"))


def print_erasure(found: Erasure) -> None:
    """What was or would be erased, and which models saw it."""
    screen = console()
    would = "would be erased" if found.dry_run else "erased"
    total = sum(found.examples.values())
    listed = ", ".join(f"{task} {count}" for task, count in found.examples.items())
    screen.print(cell(f"{would}: {_counted(total, 'example')}" + (f" ({listed})" if listed else "")))
    if found.made:
        screen.print(cell(f"made by refiners from what was asked for: {found.made} of them"))
    if not found.dry_run:
        told = f"{_counted(found.files, 'other file')} rewritten or deleted"
        screen.print(cell(f"{told}, {found.cached} entries of caches deleted"))
    if found.trained:
        screen.print("models trained on it (their weights remain):")
        for stage in found.trained:
            where = "" if stage.discarded is None else f" (set aside in discarded/{stage.discarded:02d})"
            count = f", {stage.examples} of the examples" if stage.examples else ""
            screen.print(cell(f"  - stage {stage.stage} {stage.task}{where}: {stage.how}{count}"))
    for line in found.notes:
        screen.print(cell(f"note: {line}"))


def _counted(number: int, thing: str) -> str:
    """As in ``1 example`` and ``2 examples``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def amount(count: int | float) -> str:
    """A number of bytes in a readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _cost(estimate: Estimate) -> str:
    seconds = "time unknown until the first stage has been measured"
    if estimate.seconds is not None:
        minutes, rest = divmod(round(estimate.seconds), 60)
        seconds = f"about {minutes} min {rest} s" if minutes else f"about {rest} s"
    disk = "disk space not yet known" if estimate.disk is None else f"about {amount(estimate.disk)} on disk"
    tokens = f"{estimate.tokens} tokens of training ({estimate.replay_tokens} replayed)"
    return f"{tokens}, {_counted(estimate.asked, 'answer')}, {seconds}, {disk}"


def _which(event: Event) -> str:
    facts = event.facts
    if event.what == "learned":
        return f"stage {facts.get('stage')} {facts.get('task')}"
    if event.what == "rolled back":
        away = ", ".join([*facts.get("tasks", []), *facts.get("unfinished", [])])
        return f"to stage {facts.get('stage')}; set aside: {away}"
    if event.what == "erased":
        return ", ".join(f"{task} {count}" for task, count in facts.get("examples", {}).items()) or "nothing"
    return ", ".join(facts.get("tasks", [])) or ", ".join(str(value) for value in facts.values())


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    words = ("task", "when", "what", "which", "settings", "cost")
    table = Table(box=box.SIMPLE)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in words else "right")
    return table


def _number(value: float | None, scale: Scale, sign: str = "") -> str:
    return "–" if value is None else scale.text(value, sign)


def _short(text: str) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"
