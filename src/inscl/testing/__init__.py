"""For plugin authors: run these checks on your component and know that it keeps the contract, one kind a file."""

from inscl.testing.adapter import check_adapter
from inscl.testing.learner import check_learner
from inscl.testing.made import fake_embedder, fake_tagger, made_task
from inscl.testing.objective import check_objective
from inscl.testing.refiner import check_refiner
from inscl.testing.strategy import check_strategy

__all__ = [
    "check_adapter",
    "check_learner",
    "check_objective",
    "check_refiner",
    "check_strategy",
    "fake_embedder",
    "fake_tagger",
    "made_task",
]
