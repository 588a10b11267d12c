"""Which kinds of regulated values there are, what they are called elsewhere, and when two written forms are the same value."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from domain.errors import InvalidInput
from masking.word_lists import load_rows


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
    """Device ids, IMEI, MAC addresses."""
    WALLET = "WALLET"
    """Addresses of crypto-currencies."""
    CUSTOMER_ID = "CUSTOMER_ID"
    """How a bank numbers its customers."""
    USERNAME = "USERNAME"
    """Logins and handles, also those that money is sent to (UPI, PayID)."""
    OTHER = "OTHER"
    """A value that the record knows and no rule names. Found by known values only."""
    SECRET = "SECRET"  # noqa: S105
    """CVV, PIN, one-time code. Never stored, never restored."""
    LITERAL = "LITERAL"
    """Text that somebody typed in the shape of a token. It stands for itself and resolves nothing."""


RECORD_ONLY = frozenset({PiiClass.OTHER})
"""Classes that no rule can find: a record brings them with the text."""

_COMPACT = frozenset({
    PiiClass.CARD, PiiClass.IBAN, PiiClass.ACCOUNT, PiiClass.ROUTING, PiiClass.NATIONAL_ID, PiiClass.PASSPORT, PiiClass.LICENSE,
    PiiClass.DEVICE, PiiClass.CUSTOMER_ID,
})  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
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
        case PiiClass.WALLET:
            form = _canonical_wallet(value.strip())
        case PiiClass.PHONE:
            digits = "".join(character for character in folded if character.isdigit())
            prefixed = "+" + digits.removeprefix("00") if digits and folded.startswith(("+", "00")) else digits
            # A number in words has no digits: the words are its form then.
            form = prefixed or "".join(character for character in folded if character.isalnum())
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


def class_of_name(name: str) -> PiiClass:
    """Return the class that a name means, in any spelling that records and other tools use. OTHER for what nobody knows."""
    key = fold_key(name)
    names = named_classes()
    found = names.get(key) or names.get(key.removesuffix("s")) or PiiClass.__members__.get(key.upper())
    return found if found is not None and found is not PiiClass.LITERAL else PiiClass.OTHER


def fold_key(name: str) -> str:
    """Return a key in one spelling: `cardHolderName`, "Card-holder name" and `CARD_HOLDER_NAME` are `card_holder_name`."""
    parted = _CAMEL.sub("_", name)
    plain = "".join(one for one in unicodedata.normalize("NFKD", parted.casefold()) if not unicodedata.combining(one))
    return re.sub(r"[\W_]+", "_", plain.replace("ß", "ss").replace("ı", "i").replace("ł", "l").replace("ø", "o")).strip("_")


@cache
def named_classes() -> Mapping[str, PiiClass]:
    """Return which class each known key names. Keys as `fold_key` writes them."""
    return {fold_key(name): PiiClass(words[0]) for words in load_rows("field_classes") for name in words[1:]}


def _canonical_wallet(text: str) -> str:
    """Base58 is written in both cases and they count; hexadecimal and bech32 are the same in either."""
    return text.lower() if re.fullmatch(r"0x[0-9a-fA-F]{40}|(?:bc1|BC1|tb1|TB1|ltc1|LTC1)[0-9a-zA-Z]+", text) else text


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
