"""Budgets and plans; one file per strategy."""

from inscl.contract.budget import Budget
from inscl.contract.plan import InstructionShare, Pick, ReplayPlan, TaskShare
from inscl.replay.shares.allocation import allocate

__all__ = ["Budget", "InstructionShare", "Pick", "ReplayPlan", "TaskShare", "allocate"]
