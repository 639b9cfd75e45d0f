"""What taggers that ask a language model share: one question an instruction, its answer kept at once."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract.traits import TaggerTraits
from inscl.llm.costs import Estimate
from inscl.llm.questions import Questions

__all__ = ["AskingTagger"]


class AskingTagger:
    """Base of taggers that ask; each distinct instruction is one question, ever.

    Args:
        questions: What is asked of whom.

    Attributes:
        fingerprint: Model, prompt and request.
    """

    traits = TaggerTraits(keeps_answers=True, costs=True)

    def __init__(self, questions: Questions[list[str]]) -> None:
        self._questions, self.fingerprint = questions, questions.fingerprint

    def estimate(self, instructions: Sequence[str]) -> Estimate:
        """What asking about these would take now, without what the cache holds already."""
        return self._questions.estimate(instructions)

    def __call__(self, instructions: Sequence[str]) -> list[list[str]]:
        """Tags of each instruction, in the same order; each distinct one is asked once, ever.

        Raises:
            EndpointError: The server is down or refuses, or answers twice with something that can't be read where a
                tagger takes that for an error. The answers that came are kept, and the same call goes on from them.
            WorkspaceError: The cache can't be written.
        """
        found = self._questions.ask(instructions)
        return [list(found[text]) for text in instructions]
