"""Learners: they can be taught a task and asked afterwards. One file per learner."""

from inscl.learners.fine_tune import FineTune

__all__ = ["FineTune"]
