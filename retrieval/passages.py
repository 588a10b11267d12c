"""A passage: one chunk of one article, with the reference that opens exactly it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.conversation import Citation
from domain.errors import InvalidInput

_REF = re.compile(r"(?P<article_id>[A-Za-z0-9][A-Za-z0-9._-]{0,63})#(?P<ordinal>[1-9][0-9]{0,5})")
_EXCERPT_CHARACTERS = 280


class InvalidPassageRef(InvalidInput):
    """Say that a text is no passage reference such as `refund-policy#3`."""

    code = "invalid_passage_ref"


class Passage(BaseModel):
    """Hold one found passage, masked. `score` orders the results of one search and means nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    article_id: str
    ordinal: Annotated[int, Field(ge=1)]
    title: str
    heading_path: str
    text: str
    score: float

    @property
    def ref(self) -> str:
        """Return `article#ordinal`."""
        return passage_ref(self.article_id, self.ordinal)

    def cite(self, excerpt: str | None = None) -> Citation:
        """Point to this passage; the excerpt is its beginning unless another part is named."""
        shown = " ".join((excerpt if excerpt is not None else self.text).split())
        return Citation(kind="passage", ref=self.ref, title=self.title, excerpt=shown[:_EXCERPT_CHARACTERS])


def passage_ref(article_id: str, ordinal: int) -> str:
    """Write the reference of a passage."""
    return f"{article_id}#{ordinal}"


def parse_passage_ref(ref: str) -> tuple[str, int]:
    """Read `article#ordinal`. Raises: InvalidPassageRef."""
    match = _REF.fullmatch(ref)
    if match is None:
        raise InvalidPassageRef("expected a passage reference such as refund-policy#3")
    return match["article_id"], int(match["ordinal"])
