"""The customer picker."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from serving.edge.access import CUSTOMER_ROLES, UsedServices, page_for
from serving.edge.boundary import Viewer
from serving.edge.sessions import SignedIn

router = APIRouter()
_PAGE_SIZE = 20


@router.get("/customers")
def show_customers(
    request: Request,
    signed_in: Annotated[SignedIn, Depends(page_for(*CUSTOMER_ROLES))],
    services: UsedServices,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show customers by name or id; the address holds the search."""
    now = services.deps.clock.now()
    found = services.index.search(Viewer.of(signed_in), q, now=now, offset=(page - 1) * _PAGE_SIZE, limit=_PAGE_SIZE)
    fragment = request.headers.get("HX-Request") == "true"
    return services.pages.page(
        "customer_list.html" if fragment else "customers.html",
        signed_in=signed_in,
        now=now,
        found=found,
        query=q,
        page=page,
        pages=max(1, -(-found.total // _PAGE_SIZE)),
        active="customers",
    )
