"""What the bodies and queries of the inner routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

TenantId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
TenantQuery = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,40}$")]


class Body(BaseModel):
    """Be exact: no unknown field, no value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ActingBody(Body):
    """Hold who acts. The session token proves who he is; nobody says it for him."""

    tenant_id: TenantId
    session_token: Annotated[str, Field(min_length=1, max_length=400, repr=False)]
