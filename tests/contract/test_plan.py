from __future__ import annotations

import json

import numpy as np

from inscl.contract import Example, Memory
from inscl.replay import Budget, InstructionShare, Pick, ReplayPlan, TaskShare
from inscl.replay.inscl import InsCL
from inscl.testing import fake_embedder, fake_tagger, made_task


def test_a_plan_is_plain_json_and_its_rows_restore_the_examples() -> None:
    memory = Memory((made_task("a", 9), made_task("b", 9)))
    plan = InsCL(fake_embedder, fake_tagger).plan(
        memory, made_task("c", 4), Budget(per_task=3), np.random.default_rng(0)
    )
    content = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    assert content["picks"] == 6
    assert content["budget"] == {"per_task": 3}
    assert sum(task["allocation"] for task in content["tasks"]) == 6
    rows = [json.loads(json.dumps(pick.to_json())) for pick in plan.picks]
    assert [Example.from_json(row) for row in rows] == plan.examples


def test_a_plan_is_read_back_as_it_was_written() -> None:
    example = Example("Say it", "red", ("red",), "say")
    share = TaskShare("say", 3, 1, 1.0, (InstructionShare("Say it", 3, 1, {"rank": 1}),), {"distance": 0.5})
    pick = Pick(example, "say", 1, weight=0.5, reason={"rank": 1, "distance": 0.5})
    plan = ReplayPlan("new", "inscl", (pick,), (share,), {"p": 1}, {"per_task": 1}, ("a note",))
    rows = json.loads(json.dumps([one.to_json() for one in plan.picks]))
    assert ReplayPlan.from_json(json.loads(json.dumps(plan.to_json())), rows) == plan
