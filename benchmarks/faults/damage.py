"""Files that are cut, changed by a bit or removed: found and named, then put right or refused, never used."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from faults.children import in_child
from faults.points import Point, arm
from faults.strikes import Bench, Outcome
from inscl.doctor.verification import verify

__all__ = ["DAMAGES", "damage_finished", "damage_unfinished"]

Strike = Callable[[], Outcome]
DAMAGES = ("cut", "bit", "gone")
# Nothing stands in it: the operating system holds the lock.
_WITHOUT_CONTENT = (".lock",)


def spoil(path: Path, how: str, chance: random.Random) -> bool:
    """Cut a file, change a bit of it, or remove it; False where there is nothing to spoil."""
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
        return True
    if not content:
        return False
    if how == "cut":
        path.write_bytes(content[: chance.randrange(len(content))])
    else:
        place = chance.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :])
    return True


def damage_finished(bench: Bench, chance: random.Random, take: int | None = None) -> Iterator[Strike]:
    """Each file of a finished run, spoiled in each way: does `verify` name it, and is all well in the end?"""
    files = sorted(path.relative_to(bench.finished) for path in bench.finished.rglob("*") if path.is_file())
    cases = [
        (file, how) for file in files for how in DAMAGES if how == "gone" or (bench.finished / file).stat().st_size
    ]
    for file, how in cases if take is None else chance.sample(cases, min(take, len(cases))):
        yield partial(_spoiled, bench, file, how, chance.random())


def _spoiled(bench: Bench, file: Path, how: str, seed: float) -> Outcome:
    out = bench.copy(bench.finished)
    spoil(out / file, how, random.Random(seed))
    outcome = _judged(bench, out, file, how)
    if not outcome.lost:
        bench.drop(out)
    return outcome


def _judged(bench: Bench, out: Path, file: Path, how: str) -> Outcome:
    kind, what = f"damage: {how}", f"{file} {how}"
    named = _names(bench, out, file)
    ended = bench.again(out)
    if ended.how not in ("finished", "refused"):
        return Outcome(kind, what, ended.how, f"the run {ended.how}", ended.text[-1500:])
    told = ended.text if ended.how == "refused" else ""
    if ended.how == "finished" and not bench.compare(out) and not _found(bench, out):
        after = "put right" if named or file.name in _WITHOUT_CONTENT or how == "gone" else "used unnoticed"
        lost = (
            "" if after == "put right" or (out / file).read_bytes() == (bench.finished / file).read_bytes() else after
        )
        return Outcome(kind, what, "put right", lost, named)
    if not named and file.as_posix() not in told:
        return Outcome(kind, what, ended.how, "nothing names it", told)
    _follow_remedy(out, file)
    again = bench.again(out)
    lost = bench.compare(out) if again.how == "finished" else f"after the remedy the run {again.how}: {again.text}"
    return Outcome(kind, what, "refused" if told else "named", lost, told or named)


def damage_unfinished(bench: Bench, chance: random.Random, take: int | None = None) -> Iterator[Strike]:
    """Each file of runs that were killed in training and in evaluation, spoiled: the run goes on all the same."""
    third = bench.points["work"] // 3
    for number in (third, 2 * third, 2 * third + 3):
        killed = bench.new()
        in_child(partial(_killed, bench, killed, number), bench.folder / "log")
        waiting = [path for path in killed.rglob("*") if path.is_file() and not _counts(path, killed)]
        cases = [(path.relative_to(killed), how) for path in sorted(waiting) for how in DAMAGES]
        for file, how in cases if take is None else chance.sample(cases, min(take, len(cases))):
            yield partial(_gone_on, bench, killed, file, how, chance.random())


def _killed(bench: Bench, out: Path, number: int) -> None:
    arm(Point("kill", "work", number))
    bench.run(out)


def _gone_on(bench: Bench, killed: Path, file: Path, how: str, seed: float) -> Outcome:
    out = bench.copy(killed)
    spoil(out / file, how, random.Random(seed))
    ended = bench.again(out)
    lost = bench.compare(out) if ended.how == "finished" else f"{ended.how}: {ended.text[-800:]}"
    bench.drop(out)
    return Outcome(f"damage in an unfinished stage: {how}", f"{file} {how}", ended.how, lost)


def _counts(path: Path, run: Path) -> bool:
    """Whether a file is part of a finished stage, or of the whole: those are `damage_finished`'s."""
    parts = path.relative_to(run).parts
    return parts[0] not in ("stages", "experts") or (run / parts[0] / parts[1] / "DONE").exists()


def _found(bench: Bench, out: Path) -> str:
    """What `verify` says, a line each."""
    told = bench.folder / "verified"
    told.unlink(missing_ok=True)
    ended = in_child(lambda: told.write_text("\n".join(map(str, verify(out)))), bench.folder / "log")
    return told.read_text() if ended.how == "finished" else f"verify {ended.how}: {ended.text}"


def _names(bench: Bench, out: Path, file: Path) -> str:
    """The line in which `verify` names a file, or the store it belongs to; empty if it doesn't."""
    for line in _found(bench, out).splitlines():
        if str(out / file) in line or (file.parts[0] == "memory" and "memory" in line):
            return line
    return ""


def _follow_remedy(out: Path, file: Path) -> None:
    """What the message says to do."""
    if file.parts[0] in ("stages", "experts"):
        (out / file.parts[0] / file.parts[1] / "DONE").unlink(missing_ok=True)
    elif file.parts[0] == "memory":
        shutil.rmtree(out / "memory")
    elif file.parts[0] == ".copies":
        shutil.copy(out / file.name, out / file)
    elif (out / ".copies" / file).exists():
        shutil.copy(out / ".copies" / file, out / file)
