"""The vault: erasing a customer, rotating the key, and the record of who was shown what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import Unavailable
from domain.roles import Role
from masking.reveals import MAX_PAGE
from serving.edge.access import UsedServices, call_for
from serving.edge.services import Services
from serving.edge.sessions import SignedIn
from serving.edge.vault_keeper import VaultKeeper

router = APIRouter(tags=["vault"])
Admin = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
Reader = Annotated[SignedIn, Depends(call_for(Role.AUDITOR, Role.ADMIN))]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErasureBody(_Wire):
    """Whom to erase, and why. The reason stays: write no personal data into it."""

    subject_id: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ErasureOut(_Wire):
    """Hold the tombstone. `already_erased` says that an earlier call made it."""

    subject_id: str
    erased_at: datetime
    erased_by: str
    reason: str
    values_erased: int
    surfaces_erased: int
    event_id: str
    already_erased: bool


class RotationBody(_Wire):
    """`continue` goes on with what waits and makes no new key."""

    only_continue: Annotated[bool, Field(alias="continue")] = False


class RotationOut(_Wire):
    """Hold how far a rotation is; ask again, with `continue`, until nothing remains."""

    to_version: int
    rewrapped: int
    remaining: int


class RevealOut(_Wire):
    """Hold one audit row. `token` and `class` are null where a set was read to mask a text, which shows it to nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    reveal_id: str
    position: int
    actor: str
    roles: list[str]
    purpose: str
    scope: str
    scope_id: str
    subject_id: str
    message_id: str | None
    token: str | None
    pii_class: Annotated[str | None, Field(alias="class")]
    shown: str
    revealed_at: datetime


class RevealList(_Wire):
    """One page, the newest first; ask again with `before` = `next_before` for more, until it is null."""

    items: list[RevealOut]
    next_before: str | None


class ChainOut(_Wire):
    """Hold what a walk over the chain found; `first_broken` is the first link that does not hold."""

    links: int
    rows: int
    first_broken: int | None
    holds: bool


@router.post("/vault/erasures", operation_id="eraseSubject")
def post_erasure(body: ErasureBody, caller: Admin, services: UsedServices) -> ErasureOut:
    """Erase a customer: his values can be read nowhere any more, and nothing is stored about him again. There is no way back."""
    services.records.require_customer(caller.tenant_id, body.subject_id)
    erasure, made = _keeper(services).erase(
        tenant_id=caller.tenant_id,
        subject_id=body.subject_id,
        actor=caller.operator_id,
        reason=body.reason,
        now=services.deps.clock.now(),
    )
    services.index.forget(caller.tenant_id)
    return ErasureOut(
        subject_id=erasure.subject_id,
        erased_at=erasure.erased_at,
        erased_by=erasure.actor,
        reason=erasure.reason,
        values_erased=erasure.values_erased,
        surfaces_erased=erasure.surfaces_erased,
        event_id=str(erasure.event_id),
        already_erased=not made,
    )


@router.post("/vault/key-rotation", operation_id="rotateVaultKey")
def post_rotation(body: RotationBody, caller: Admin, services: UsedServices) -> RotationOut:
    """Wrap data keys under a new key of the tenant, some at a time. Everything goes on meanwhile; cut short, ask again."""
    step = _keeper(services).rotate(
        tenant_id=caller.tenant_id,
        actor=caller.operator_id,
        now=services.deps.clock.now(),
        only_continue=body.only_continue,
    )
    return RotationOut(to_version=step.to_version, rewrapped=step.rewrapped, remaining=step.remaining)


@router.get("/vault/reveals", operation_id="listReveals", response_model_by_alias=True)
def get_reveals(
    caller: Reader,
    services: UsedServices,
    subject_id: Annotated[str | None, Query(max_length=64)] = None,
    actor: Annotated[str | None, Query(max_length=64)] = None,
    before: Annotated[str | None, Query(max_length=64, description="`next_before` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> RevealList:
    """List who was shown what."""
    rows = _keeper(services).reveals(tenant_id=caller.tenant_id, subject_id=subject_id, actor=actor, before=before, limit=limit)
    return RevealList(
        next_before=rows[-1].cursor if len(rows) == limit else None,
        items=[
            RevealOut(
                reveal_id=str(row.reveal_id),
                position=row.position,
                actor=row.actor,
                roles=[role for role in row.roles.split(",") if role],
                purpose=row.purpose,
                scope=row.scope,
                scope_id=row.scope_id,
                subject_id=row.subject_id,
                message_id=row.message_id,
                token=row.token,
                pii_class=row.pii_class,
                shown=row.shown,
                revealed_at=row.revealed_at,
            )
            for row in rows
        ],
    )


@router.get("/vault/reveals/verification", operation_id="verifyReveals")
def get_verification(caller: Reader, services: UsedServices) -> ChainOut:
    """Walk the chain of audit rows: was any changed, added or taken away?"""
    check = _keeper(services).verify(tenant_id=caller.tenant_id)
    return ChainOut(links=check.links, rows=check.rows, first_broken=check.first_broken, holds=check.first_broken is None)


def _keeper(services: Services) -> VaultKeeper:
    if services.deps.vault is None:
        raise Unavailable("this process looks after no vault")
    return services.deps.vault
