"""A sentence that code wrote from facts, with what backs it. Templates emit claims; a model may only reword them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from domain.conversation import Citation, Sentence
from masking.text import DamagedToken, masked_from_store

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
    line = " ".join(name.split())[:_MAX_NAME_CHARACTERS]
    try:
        return masked_from_store(line).text or _WITHHELD
    except DamagedToken:
        return _WITHHELD
