"""Customers and the passages that answers cite."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from serving.edge.access import CUSTOMER_ROLES, DECISION_ROLES, UsedServices, call_for
from serving.edge.api.schemas import AccountOut, CardOut, CustomerFileOut, CustomerOut, CustomerPage, PassageOut, TransactionOut
from serving.edge.boundary import Viewer
from serving.edge.passages import read_passage
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["customers"])
Caller = Annotated[SignedIn, Depends(call_for(*CUSTOMER_ROLES))]
Reader = Annotated[SignedIn, Depends(call_for(*DECISION_ROLES))]
_CUSTOMER_FIELDS = ("customer_id", "name", "country", "language", "segment", "kyc_status")


@router.get("/customers", operation_id="listCustomers")
def list_customers(
    caller: Caller,
    services: UsedServices,
    q: Annotated[str, Query(max_length=100, description="words of a name, or a customer id")] = "",
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CustomerPage:
    """Search customers by name or id."""
    found = services.index.search(Viewer.of(caller), q, now=services.deps.clock.now(), offset=offset, limit=limit)
    items = [CustomerOut(**{field: getattr(entry, field) for field in _CUSTOMER_FIELDS}) for entry in found.entries]
    return CustomerPage(items=items, total=found.total, offset=offset)


@router.get("/customers/{customer_id}", operation_id="getCustomer")
def get_customer(customer_id: str, caller: Caller, services: UsedServices) -> CustomerFileOut:
    """Return one customer with accounts, cards and the newest transactions."""
    file = services.records.read_file(Viewer.of(caller), customer_id)
    return CustomerFileOut(
        customer=CustomerOut(**{field: getattr(file.customer, field) for field in _CUSTOMER_FIELDS}),
        accounts=[AccountOut(**asdict(account)) for account in file.accounts],
        cards=[CardOut(**asdict(card)) for card in file.cards],
        transactions=[
            TransactionOut(**{field: getattr(transaction, field) for field in TransactionOut.model_fields})
            for transaction in file.transactions
        ],
    )


@router.get("/passages/{article_id}/{ordinal}", operation_id="getPassage")
def get_passage(article_id: str, ordinal: int, caller: Reader, services: UsedServices) -> PassageOut:
    """Return the passage behind a citation `<article id>#<ordinal>`."""
    passage = read_passage(services.deps.database, Viewer.of(caller), f"{article_id}#{ordinal}")
    return PassageOut(
        ref=f"{article_id}#{ordinal}", title=passage.title, heading_path=passage.heading_path, text=passage.masked_text
    )
