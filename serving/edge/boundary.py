"""What the edge needs of the masking plane: text in gets masked, text out gets what this person may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.errors import Unavailable
from domain.roles import Role
from serving.edge.sessions import SignedIn

Purpose = Literal["customer_list", "conversation", "review", "record"]


class MaskingFailed(Unavailable):
    """Say that a text could not be masked: it was not stored and nobody got it."""

    code = "masking_failed"


@dataclass(frozen=True, slots=True)
class MaskedInput:
    """Hold a text after masking, and the tokens in it."""

    text: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Hold who looks, for entitlements and the audit."""

    tenant_id: str
    operator_id: str
    roles: frozenset[Role]

    @staticmethod
    def of(signed_in: SignedIn) -> Viewer:
        """Make the viewer of a signed-in person."""
        return Viewer(signed_in.tenant_id, signed_in.operator_id, signed_in.roles)


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


class Boundary(Protocol):
    """Mask and unmask. Synchronous: callers use a thread. `masking_boundary` implements it over the vault."""

    def mask_input(self, text: str, *, place: Place, actor: str, merchants: Sequence[str]) -> MaskedInput:
        """Mask what a person wrote about a customer: known values first; names of `merchants` stay. Raises: MaskingFailed."""
        ...

    def mask_again(self, text: str, *, place: Place, actor: str, merchants: Sequence[str]) -> str:
        """Mask what the agents wrote, before it is stored or shown. Raises: MaskingFailed."""
        ...

    def unmask(self, text: str, *, viewer: Viewer, place: Place, as_written: bool) -> str:
        """Return the text with the values this viewer may see; others become a chip. Writes the reveal audit.

        `as_written` restores the operator's own message byte for byte; an answer has no written form.
        """
        ...

    def reveal(self, tokens: Sequence[RecordToken], *, viewer: Viewer, purpose: Purpose) -> Mapping[str, str]:
        """Return a value or a mask for each token. Writes the reveal audit."""
        ...
