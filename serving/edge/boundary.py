"""What the edge needs of the masking plane: text in gets masked, text out gets what this person may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.errors import Unavailable
from domain.roles import Role
from masking.entitlements import Condition
from serving.edge.sessions import SignedIn

Purpose = Literal["customer_list", "conversation", "review", "record"]


class MaskingFailed(Unavailable):
    """Say that a text could not be masked: it was not stored and nobody got it."""

    code = "masking_failed"


class AnswerBlocked(Unavailable):
    """Say that a masked answer held a value after all: it was not stored and nobody got it. Open an incident.

    `place` names the text by its hash.
    """

    code = "leak_blocked"

    def __init__(self, message: str, *, classes: tuple[str, ...], place: str) -> None:
        super().__init__(message)
        self.classes = classes
        self.place = place


@dataclass(frozen=True, slots=True)
class MaskedInput:
    """Hold a text after masking, and the tokens in it."""

    text: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Hold who looks, for entitlements and the audit, and which of their conditions he meets."""

    tenant_id: str
    operator_id: str
    roles: frozenset[Role]
    meets: frozenset[Condition] = frozenset()

    @staticmethod
    def of(signed_in: SignedIn) -> Viewer:
        """Make the viewer of a signed-in person, outside of any case."""
        return Viewer(signed_in.tenant_id, signed_in.operator_id, signed_in.roles, signed_in.meets)

    def in_case(self, *, opened_by: str, sensitive: bool) -> Viewer:
        """Return the viewer as he stands before a case: whether it is his own, and its customer of a sensitive segment."""
        meets = set(self.meets)
        if opened_by == self.operator_id:
            meets.add(Condition.OWN_CASE)
        if not sensitive:
            meets.add(Condition.NOT_SENSITIVE)
        return Viewer(self.tenant_id, self.operator_id, self.roles, frozenset(meets))


@dataclass(frozen=True, slots=True)
class Place:
    """Hold where a text stands: tokens are revealed within the conversation that they were written in."""

    tenant_id: str
    conversation_id: str
    customer_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class RecordToken:
    """Name one value of a record: whose it is, and its token."""

    subject_id: str
    token: str


class TextStream(Protocol):
    """Restore the texts of one turn, each token looked up once."""

    def feed(self, chunk: str) -> str:
        """Return what is certain so far. Writes the reveal audit of tokens that are met first."""
        ...

    def finish(self) -> str:
        """Return the rest."""
        ...


class Boundary(Protocol):
    """Mask and unmask. Synchronous: callers use a thread. `masking_boundary` implements it over the vault."""

    def mask_input(self, text: str, *, place: Place, actor: str, merchants: Sequence[str]) -> MaskedInput:
        """Mask what a person wrote about a customer: known values first; names of `merchants` stay. Raises: MaskingFailed."""
        ...

    def mask_again(self, text: str, *, place: Place, actor: str, merchants: Sequence[str]) -> str:
        """Mask what the agents wrote, before it is stored or shown. Raises: MaskingFailed, AnswerBlocked."""
        ...

    def unmask(self, text: str, *, viewer: Viewer, place: Place, as_written: bool) -> str:
        """Return the text with the values this viewer may see; others become a chip. Writes the reveal audit.

        `as_written` restores the operator's own message byte for byte; an answer has no written form.
        """
        ...

    def reveal(self, tokens: Sequence[RecordToken], *, viewer: Viewer, purpose: Purpose) -> Mapping[str, str]:
        """Return a value or a mask for each token of one customer's record. Writes the reveal audit."""
        ...

    def reveal_each(self, tokens: Sequence[RecordToken], *, viewer: Viewer, purpose: Purpose) -> Sequence[str]:
        """Return a value or a mask for each place, in order: two customers may share a token and not what is shown of it."""
        ...

    def allow_tokens(self, tokens: Sequence[str], *, place: Place) -> None:
        """Let the conversation resolve what strangers wrote into records that it may name. Idempotent. Raises: MaskingFailed."""
        ...

    def start_stream(self, *, viewer: Viewer, place: Place) -> TextStream:
        """Return what restores the answer of one turn while it is written."""
        ...
