"""The data and protocols that all parts share: examples, tasks, questions, answers, budgets, plans, traits."""

from inscl.contract.answer import Answer, LogLikelihood
from inscl.contract.example import Example, Image, Turn
from inscl.contract.example_table import ExampleTable
from inscl.contract.question import Question
from inscl.contract.task import Memory, Stream, Task

__all__ = [
    "Answer",
    "Example",
    "ExampleTable",
    "Image",
    "LogLikelihood",
    "Memory",
    "Question",
    "Stream",
    "Task",
    "Turn",
]
