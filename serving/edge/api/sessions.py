"""Sign in and out for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serving.edge.access import UsedServices, read_caller
from serving.edge.api.schemas import CallerOut, SessionOut, SignInBody
from serving.edge.sessions import Credentials, SignedIn, revoke_session

router = APIRouter(tags=["sessions"])
Caller = Annotated[SignedIn, Depends(read_caller)]


@router.post("/sessions", operation_id="createSession", status_code=201)
def create_session(body: SignInBody, request: Request, services: UsedServices) -> SessionOut:
    """Sign in and get a bearer token. After five failures a name waits."""
    credentials = Credentials(body.tenant_id or services.deps.options.default_tenant_id, body.username, body.password)
    signed_in = services.desk.sign_in(credentials, kind="cli", source=request.client.host if request.client else "socket")
    return SessionOut(
        token=signed_in.token,
        expires_at=signed_in.expires_at,
        tenant_id=signed_in.tenant_id,
        operator_id=signed_in.operator_id,
        display_name=signed_in.display_name,
        roles=sorted(signed_in.roles),
    )


@router.get("/sessions/current", operation_id="getCurrentSession")
def read_current(caller: Caller) -> CallerOut:
    """Say who the token belongs to."""
    return CallerOut(
        tenant_id=caller.tenant_id,
        operator_id=caller.operator_id,
        username=caller.username,
        display_name=caller.display_name,
        roles=sorted(caller.roles),
        expires_at=caller.expires_at,
    )


@router.delete("/sessions/current", operation_id="deleteCurrentSession", status_code=204)
def delete_current(caller: Caller, services: UsedServices) -> Response:
    """Sign out: the token is worth nothing afterwards."""
    revoke_session(services.deps.database, caller, services.deps.clock.now())
    return Response(status_code=204)
