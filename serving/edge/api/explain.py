"""Why was this decided? The whole story, from the records."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from domain.errors import NotFound
from domain.ids import is_id
from serving.edge.access import DECISION_ROLES, UsedServices, call_for
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["decisions"])
Reader = Annotated[SignedIn, Depends(call_for(*DECISION_ROLES))]


@router.get("/decisions/{decision_id}/explanation", operation_id="explainDecision")
async def explain_decision(decision_id: str, caller: Reader, services: UsedServices) -> dict[str, Any]:
    """Tell a decision's story: docs/schemas/explanation.schema.json. `lines` is ready to print; `nearest` is for the operator."""
    if not is_id(decision_id, "dec"):
        raise NotFound("there is no decision with this id in this workspace")
    return await services.deps.money.ask("GET", f"/v1/decisions/{decision_id}/explanation", tenant_id=caller.tenant_id)
