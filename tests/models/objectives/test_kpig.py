"""The KPIG-style objective against its two equations, written out on plain forward passes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from inscl.contract.key_parts import clauses, masked
from inscl.contract.objective import TaughtExample
from inscl.errors import ConfigError
from inscl.models.objectives.kpig import KPIG
from inscl.testing import check_objective
from models.objectives.staged import EXAMPLES, Stage, close


def examples_of(stage: Stage) -> list[TaughtExample]:
    """One whose key part is to be found, one whose data name it, one that has none."""
    texts = (
        dataclasses.replace(EXAMPLES[0], instruction="Say a colour, in one word; be kind."),
        dataclasses.replace(EXAMPLES[1], metadata={"key_parts": ["blue", "not in it"]}),
        dataclasses.replace(EXAMPLES[1], metadata={"key_parts": []}, outputs=("none",)),
    )
    encoded = [stage.encoder.encode(text) for text in texts]
    weights = (1.0, 0.5, 2.0)
    return [TaughtExample(one, w, example=text) for one, w, text in zip(encoded, weights, texts, strict=True)]


def plainly(stage: Stage, example: Any) -> tuple[Any, Any]:
    import torch

    encoded = stage.encoder.encode(example)
    tokens, start = torch.tensor([encoded.tokens]), encoded.prompt_length
    with torch.no_grad():
        logits = stage.model.model.eval()(input_ids=tokens).logits[0, start - 1 : -1]
    return logits.log_softmax(-1), tokens[0, start:]


def without_key_part(stage: Stage, example: TaughtExample) -> Any:
    """The masked example, its key part found by trying each clause on the base model."""
    given = example.example.metadata.get("key_parts")
    if given is not None:
        return masked(example.example, [part for part in given if part in example.example.instruction])
    tried = {}
    with stage.model.model.disable_adapter():
        for part in clauses(example.example.instruction, 4):
            hidden = masked(example.example, [part])
            log_p, targets = plainly(stage, hidden)
            tried[float(log_p.gather(1, targets[:, None]).sum())] = hidden
    assert len(tried) == 3
    return tried[min(tried)]


@pytest.mark.parametrize("form", ["margin", "jsd"])
def test_gradients_are_those_of_the_equation(tiny_model: Path, form: str) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    # Wide margins, so that every answer is within them.
    gamma, margin, share = 0.7, {"margin": math.log(2), "jsd": 30.0}[form], 0.4

    def loss(now: Any, _: Any, targets: Any, example: TaughtExample) -> Any:
        hidden = without_key_part(stage, example)
        if hidden is None:
            return cross_entropy(now, targets, reduction="sum")
        blind, _ = plainly(stage, hidden)
        p, q = now.softmax(-1), blind.exp()
        if form == "margin":
            m = (p + q) / 2
            divergence = ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1)) / 2
            return cross_entropy(now, targets, reduction="sum") + gamma * (margin - divergence).clamp(min=0).sum()
        gain = (now.detach().log_softmax(-1) - blind).gather(1, targets[:, None]).mean()
        assert float(gain) < margin
        p = (now / (1 + gamma * (margin - gain))).softmax(-1)
        one_hot = torch.nn.functional.one_hot(targets, p.shape[-1]).float()
        m = share * one_hot + (1 - share) * p
        of_target = -m.gather(1, targets[:, None]).log().sum()
        of_model = (p * (p / m).log()).sum()
        return (share * of_target + (1 - share) * of_model) / (-(1 - share) * math.log(1 - share))

    stage = Stage(tiny_model, ("now", "base"))
    examples = examples_of(stage)
    objective = KPIG(gamma, margin, form, share)
    close(stage.gradients(objective, examples), stage.written_out(loss, examples))
    alone = stage.gradients(objective, examples[2:])
    close(alone, stage.written_out(loss, examples[2:]))


def test_both_forms_keep_the_contract_and_refuse_values_that_mean_nothing() -> None:
    check_objective(KPIG)
    check_objective(lambda: KPIG(form="jsd"))
    with pytest.raises(ConfigError) as told:
        KPIG(gamma=0, margin=0.7, share=1, candidates=0)
    assert [problem.key for problem in told.value.problems] == ["gamma", "margin", "share", "candidates"]
    with pytest.raises(ConfigError, match="no form 'margins'"):
        KPIG(form="margins")
