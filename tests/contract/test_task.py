from __future__ import annotations

from dataclasses import replace

from inscl.contract import Example, Stream, Task

TASK = Task("t", (Example("q", "1", ("a",)), Example("q", "2", ("b",))), (Example("q", "3", ("c",)),))


def test_changes_with_content_order_split_and_name_and_with_nothing_else() -> None:
    same = replace(TASK, train=tuple(replace(e, source="elsewhere") for e in TASK.train), max_new_tokens=9)
    assert same.fingerprint == TASK.fingerprint
    changed = [
        replace(TASK, name="u"),
        replace(TASK, train=TASK.train[::-1]),
        replace(TASK, train=(*TASK.train, *TASK.test), test=()),
        replace(TASK, test=(Example("q", "3", ("d",)),)),
    ]
    assert len({task.fingerprint for task in [TASK, *changed]}) == 5
    other = replace(TASK, name="u")
    assert Stream((TASK, other)).fingerprint != Stream((other, TASK)).fingerprint
