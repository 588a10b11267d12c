"""Which kinds of regulated values there are, and when two written forms are the same value."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from enum import StrEnum

from domain.errors import InvalidInput


class EmptyValue(InvalidInput):
    """Say that a value has nothing in it to protect."""

    code = "empty_value"


class PiiClass(StrEnum):
    """Name a kind of regulated value. Each has a recognizer, or the start fails."""

    PERSON = "PERSON"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    CARD = "CARD"
    IBAN = "IBAN"
    ACCOUNT = "ACCOUNT"
    ROUTING = "ROUTING"
    """Sort codes, ABA, BSB, IFSC."""
    NATIONAL_ID = "NATIONAL_ID"
    """Social security, tax and identity numbers."""
    PASSPORT = "PASSPORT"
    LICENSE = "LICENSE"
    BIRTH_DATE = "BIRTH_DATE"
    ADDRESS = "ADDRESS"
    IP = "IP"
    DEVICE = "DEVICE"
    SECRET = "SECRET"  # noqa: S105
    """CVV, PIN, one-time code. Never stored, never restored."""
    LITERAL = "LITERAL"
    """Text that somebody typed in the shape of a token. It stands for itself and resolves nothing."""


_COMPACT = frozenset({
    PiiClass.CARD, PiiClass.IBAN, PiiClass.ACCOUNT, PiiClass.ROUTING, PiiClass.NATIONAL_ID, PiiClass.PASSPORT, PiiClass.LICENSE,
    PiiClass.DEVICE,
})  # fmt: skip
_DATE_SHAPES = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"),
    re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})"),
)


def canonical_form(pii_class: PiiClass, value: str) -> str:
    """Return the form that decides identity: same form, same token. Case, spaces and separators do not count.

    Raises: EmptyValue.
    """
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    match pii_class:
        case PiiClass.LITERAL | PiiClass.SECRET:
            form = value
        case PiiClass.PHONE:
            digits = "".join(character for character in folded if character.isdigit())
            form = "+" + digits.removeprefix("00") if folded.startswith(("+", "00")) else digits
        case PiiClass.BIRTH_DATE:
            form = _canonical_date(folded)
        case PiiClass.IP:
            form = _canonical_ip(folded)
        case _ if pii_class in _COMPACT:
            form = "".join(character for character in folded if character.isalnum())
        case _:
            form = " ".join(re.sub(r"[\s,;]+", " ", folded).split())
    if not form:
        raise EmptyValue(f"a {pii_class.value} value is empty")
    return form


def _canonical_date(text: str) -> str:
    for shape in _DATE_SHAPES:
        match = shape.fullmatch(text)
        if match:
            return f"{match['y']}-{int(match['m']):02d}-{int(match['d']):02d}"
    return " ".join(text.split())


def _canonical_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text
