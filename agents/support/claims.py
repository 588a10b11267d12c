"""A sentence that code wrote from facts, with what backs it. Templates emit claims; a model may only reword them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from domain.conversation import Citation, Sentence
from masking.text import DamagedToken, masked_from_store
from masking.tokens import find_tokens

_WITHHELD = "(name withheld)"
_MAX_NAME_CHARACTERS = 60


class Claim(BaseModel):
    """Hold one true sentence and its citations. `is_key`: the answer is incomplete without it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    citations: tuple[Citation, ...]
    is_key: bool = True

    def to_sentence(self) -> Sentence:
        """Return it as code wrote it."""
        return Sentence(text=self.text, generated_by="template", citations=self.citations)


def show_name(name: str) -> str:
    """Return a stranger's name for a merchant or a payment on one short line; withhold it when it imitates a token."""
    line = _cut(" ".join(name.split()))
    try:
        return masked_from_store(line).text or _WITHHELD
    except DamagedToken:
        return _WITHHELD


def _cut(line: str) -> str:
    """Cut a long line, but never inside a token: half of one would read like a value."""
    end = _MAX_NAME_CHARACTERS
    for match in find_tokens(line):
        if match.start < end < match.end:
            end = match.end
    return line[:end]
