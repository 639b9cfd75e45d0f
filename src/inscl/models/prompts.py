"""Examples to token ids: the prompt in the model's own form, the answer, and the end of sequence.

Prompt and answer are tokenised apart and then joined, so that a prompt has the same tokens in training and in
generation. Text from data can't forge control tokens: ``<|im_end|>`` inside an input stays five ordinary pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract import Example
from inscl.contract.encodable import encodable
from inscl.errors import ConfigError, DataError, ModelError, Problem, nearest

__all__ = ["FORMS", "Encoded", "PromptEncoder"]

FORMS = ("chat", "plain")
_MARK = "INSCLCONTENTMARK"


@dataclass(frozen=True)
class Encoded:
    """One training example as token ids.

    Attributes:
        tokens: Prompt, answer and end of sequence.
        prompt_length: How many of `tokens` are the prompt; the others carry loss.
        truncated: Whether the prompt was shortened to fit.
    """

    tokens: list[int]
    prompt_length: int
    truncated: bool = False


class PromptEncoder:
    """Turns prompts and examples into token ids.

    Args:
        tokenizer: A transformers tokenizer with an end-of-sequence token.
        form: ``chat`` is the model's own chat template around the prompt, as one user message, ending where the
            assistant begins. ``plain`` is the prompt and a blank line (InsCL's released code: instruction, blank line,
            input), and is also what ``chat`` means for a model without a template.
        max_length: Most tokens of prompt, answer and end of sequence together.

    Raises:
        ConfigError: `form` is unknown.
        ModelError: The tokenizer has no end of sequence, or its template hides the user's message.
    """

    def __init__(self, tokenizer: Any, form: str = "chat", max_length: int = 1024) -> None:
        if form not in FORMS:
            raise ConfigError([Problem("prompt", f"no form named {form!r}{nearest(form, FORMS)}")])
        if tokenizer.eos_token_id is None:
            raise ModelError("the model's tokenizer has no end-of-sequence token, so an answer could never end")
        self.tokenizer, self.max_length = tokenizer, max_length
        self.form = form if tokenizer.chat_template else "plain"
        before, after = self.frame()
        self._before = self._ids(before, special=True)
        self._after = self._ids(after, special=True)
        if not self._before and self.form == "plain":
            self._before = self._beginning()

    def prompt(self, text: str, room: int | None = None) -> tuple[list[int], bool]:
        """Token ids of a prompt in at most `room` tokens (default: `max_length` and no answer), and whether it was cut.

        What doesn't fit is taken out of the middle of `text`: instructions stand first and questions often last.
        """
        content = self._ids(text)
        space = (self.max_length if room is None else room) - len(self._before) - len(self._after)
        truncated = len(content) > space
        if truncated:
            head = max(space, 0) - max(space, 0) // 2
            content = content[:head] + content[len(content) - (space - head) :] if space > head else content[:head]
        return self._before + content + self._after, truncated

    def encode(self, example: Example) -> Encoded:
        """Token ids of an example: as much of the prompt as fits beside its whole answer.

        Raises:
            DataError: The answer alone is longer than `max_length`.
        """
        answer = [*self._ids(example.output), self.tokenizer.eos_token_id]
        room = self.max_length - len(answer)
        if room <= len(self._before) + len(self._after):
            place = example.source or example.task or "?"
            raise DataError(
                f"the answer of example {example.id} ({place}, {example.output[:40]!r}...) has {len(answer)} tokens, "
                f"too many for max_length {self.max_length}; raise training.max_length or shorten it"
            )
        prompt, truncated = self.prompt(example.prompt, room)
        return Encoded(prompt + answer, len(prompt), truncated)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence, before any shortening."""
        frame = len(self._before) + len(self._after) + 1
        return frame + len(self._ids(example.prompt)) + len(self._ids(example.output))

    def decode(self, answers: Sequence[Sequence[int]]) -> list[str]:
        """Texts of generated ids, without control tokens and surrounding white space."""
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [text.strip() for text in texts]

    def frame(self) -> tuple[str, str]:
        """The template's text before and after the user's message; in the plain form nothing and a blank line."""
        if self.form == "plain":
            return "", "\n\n"
        messages = [{"role": "user", "content": _MARK}]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if text.count(_MARK) != 1:
            raise ModelError("the chat template doesn't show the user's message once; set training.prompt: plain")
        before, after = text.split(_MARK)
        return before, after

    def _beginning(self) -> list[int]:
        """What the tokenizer itself puts first: a beginning-of-sequence token, or nothing."""
        beginning = self.tokenizer.bos_token_id
        return [beginning] if beginning is not None and self.tokenizer("").input_ids[:1] == [beginning] else []

    def _ids(self, text: str, special: bool = False) -> list[int]:
        text = encodable([text])[0]
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special).input_ids
        return list(ids)
