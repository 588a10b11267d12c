"""Values that stand nowhere else: planted in the demo tenant, so that one search tells whether any surface holds a value.

One for each class of regulated values, all invented. Not part of the generated dataset, which training reads too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.generator import Dataset

CANARY_VERSION = "1"
CANARY_CUSTOMER = "cus_ca7a9700c0de"
_ACCOUNT, _SECOND_ACCOUNT = "acc_ca7a9700c0de", "acc_ca7a9700c0df"


@dataclass(frozen=True, slots=True)
class Canary:
    """Hold one value and its class. `is_record` is false where no record of a bank has it: only a message holds it."""

    pii_class: str
    value: str
    is_record: bool = True


CANARIES = (
    Canary("PERSON", "Wilhelmina Quetzalcantó"),
    Canary("EMAIL", "w.quetzalcanto47@canaries.example.org"),
    Canary("PHONE", "+442079460479"),
    Canary("CARD", "4929471938004713"),
    Canary("IBAN", "DE38471938004719384710"),
    Canary("ACCOUNT", "830264975118"),
    Canary("ROUTING", "QZCN0471938", is_record=False),
    Canary("NATIONAL_ID", "517-48-1938"),
    Canary("PASSPORT", "QZ4719380", is_record=False),
    Canary("LICENSE", "QUETZ710031W99QX", is_record=False),
    Canary("BIRTH_DATE", "1947-10-03"),
    Canary("ADDRESS", "4719 Quetzalcanto Crescent, Harrowmere"),
    Canary("IP", "2001:db8:5c1f:77e0::cafe"),
    Canary("DEVICE", "356291018472055", is_record=False),
    Canary("WALLET", "0x6b1f90d2e7a44c8fca7a9700c0de5d1379e2ab60", is_record=False),
    Canary("CUSTOMER_ID", "CIF-4719380-QZ", is_record=False),
    Canary("USERNAME", "@quetzal_canto4719", is_record=False),
    Canary("SECRET", "sk_live_QZcanary83kd02Jf91mWx7Lp", is_record=False),
)
"""Every class but LITERAL and OTHER, which have no values of their own."""

CANARY_MESSAGE = (
    "Customer Wilhelmina Quetzalcantó (born 1947-10-03, SSN 517-48-1938, passport no. QZ4719380, "
    "driving licence QUETZ710031W99QX) lives at 4719 Quetzalcanto Crescent, Harrowmere. "
    "Mail w.quetzalcanto47@canaries.example.org, phone +442079460479. Card 4929471938004713, IBAN DE38471938004719384710, "
    "account number 830264975118, IFSC QZCN0471938, customer no. CIF-4719380-QZ. Username @quetzal_canto4719, "
    "IP 2001:db8:5c1f:77e0::cafe, IMEI 356291018472055, wallet 0x6b1f90d2e7a44c8fca7a9700c0de5d1379e2ab60. "
    "She pasted her API key sk_live_QZcanary83kd02Jf91mWx7Lp here. Was she charged twice?"
)
"""What an operator could type: every canary, as people write them."""


def value_of(pii_class: str) -> str:
    """Return the canary of a class."""
    return next(canary.value for canary in CANARIES if canary.pii_class == pii_class)


def add_canaries(dataset: Dataset, *, as_of: datetime) -> Dataset:
    """Return the dataset with one more customer whose values are the canaries."""
    added = _records(as_of.astimezone(UTC))
    return replace(dataset, records={kind: (*rows, *added.get(kind, ())) for kind, rows in dataset.records.items()})


def _records(as_of: datetime) -> dict[str, tuple[dict[str, Any], ...]]:
    opened_at, seen_at = as_of - timedelta(days=800), as_of - timedelta(days=3)
    account = {"customer_id": CANARY_CUSTOMER, "currency": "GBP", "status": "active", "opened_at": opened_at}
    return {
        "customers": (
            {
                "customer_id": CANARY_CUSTOMER,
                "name": value_of("PERSON"),
                "email": value_of("EMAIL"),
                "phone": value_of("PHONE"),
                "birth_date": value_of("BIRTH_DATE"),
                "address": value_of("ADDRESS"),
                "national_id": value_of("NATIONAL_ID"),
                "country": "GB",
                "language": "en",
                "segment": "standard",
                "kyc_status": "verified",
                "opened_at": opened_at,
            },
        ),
        "accounts": (
            {**account, "account_id": _ACCOUNT, "number": value_of("IBAN"), "product": "current"},
            {**account, "account_id": _SECOND_ACCOUNT, "number": value_of("ACCOUNT"), "product": "savings"},
        ),
        "cards": (
            {
                "card_id": "crd_ca7a9700c0de",
                "account_id": _ACCOUNT,
                "pan": value_of("CARD"),
                "scheme": "visa",
                "status": "active",
                "expires_on": (as_of + timedelta(days=700)).date(),
            },
        ),
        "logins": (
            {
                "login_id": "lgn_ca7a9700c0de",
                "customer_id": CANARY_CUSTOMER,
                "ip": value_of("IP"),
                "country": "GB",
                "outcome": "success",
                "occurred_at": seen_at,
            },
        ),
        "transactions": tuple(_transfers(seen_at)),
    }


def _transfers(seen_at: datetime) -> list[dict[str, Any]]:
    """Make transfers in whose texts strangers wrote the customer's values."""
    texts = (
        ("Rent from Wilhelmina Quetzalcantó", f"card {value_of('CARD')}"),
        (f"to {value_of('IBAN')}", f"call {value_of('PHONE')}"),
        (f"wallet {value_of('WALLET')}", value_of("EMAIL")),
    )
    return [
        {
            "transaction_id": f"txn_ca7a9700c0d{number}",
            "account_id": _ACCOUNT,
            "kind": "transfer_in",
            "status": "posted",
            "amount_minor": 4_719 + number,
            "currency": "GBP",
            "descriptor": descriptor,
            "reference": reference,
            "occurred_at": seen_at + timedelta(hours=number),
            "posted_at": seen_at + timedelta(hours=number),
        }
        for number, (descriptor, reference) in enumerate(texts)
    ]
