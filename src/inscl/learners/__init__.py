"""Learners: they can be taught a task and asked afterwards. One file per learner."""

from inscl.learners.cpt import CPT
from inscl.learners.dual_increment import DualIncrement
from inscl.learners.fine_tune import FineTune
from inscl.learners.icl import ICL
from inscl.learners.overprompt import OverPrompt
from inscl.learners.rella import ReLLa
from inscl.learners.rtd import RTD
from inscl.learners.served import Served

__all__ = ["CPT", "ICL", "RTD", "DualIncrement", "FineTune", "OverPrompt", "ReLLa", "Served"]
