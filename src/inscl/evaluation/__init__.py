"""Asking a learner, and scoring what it answers."""

from inscl.evaluation.evaluate import Score, TaskEvaluation, evaluate, evaluate_together
from inscl.evaluation.scorers import exact_match, rouge_l, token_f1

__all__ = ["Score", "TaskEvaluation", "evaluate", "evaluate_together", "exact_match", "rouge_l", "token_f1"]
