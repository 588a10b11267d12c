"""Which fingerprints does a record's number leave? They tell whether a text holds it, and hold nothing of it.

A print is 64 bits of a keyed hash of one way to write the number. It knows no class, since a text does not say it either.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import phonenumbers
from psycopg import Connection

from masking.classes import PiiClass
from masking.keys import TenantKeys
from storage.named_queries import load_queries

if TYPE_CHECKING:
    from masking.vault import PiiItem

QUERIES = load_queries(Path(__file__).parent / "sql" / "numbers.sql")
NUMBERED = (
    PiiClass.ACCOUNT, PiiClass.IBAN, PiiClass.CARD, PiiClass.PHONE, PiiClass.NATIONAL_ID, PiiClass.PASSPORT, PiiClass.LICENSE,
    PiiClass.WALLET, PiiClass.CUSTOMER_ID, PiiClass.EMAIL,
)  # fmt: skip
MIN_DIGITS = 8
"""A shorter number of digits alone stands in any text by chance."""
MIN_LENGTH = 6
MIN_MIXED_DIGITS = 4
MAX_LENGTH = 64
# How many characters at the end of an IBAN are the account number that people write alone. Source: SWIFT IBAN registry.
_ACCOUNT_TAILS = {
    "AT": 11, "BE": 12, "CH": 12, "CZ": 10, "DE": 10, "DK": 10, "ES": 10, "FI": 8, "FR": 13, "GB": 8, "GR": 16, "IE": 8, "IT": 12,
    "LU": 13, "NL": 10, "NO": 11, "PL": 16, "PT": 13, "RO": 16, "SA": 18, "SE": 12, "TR": 16, "AE": 16, "SK": 10, "HU": 16,
}  # fmt: skip
_WITH_BRANCH_TAILS = {"GB": 14, "IE": 14, "AU": 15}


def hash_form(key: bytes, form: str) -> int:
    """Return the print of one folded form: 64 bits."""
    return int.from_bytes(hashlib.blake2b(form.encode(), key=key, digest_size=8).digest(), "big")


def fold_number(text: str) -> str:
    """Return the letters and digits, upper case."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return "".join(character for character in text if character.isalnum()).upper()


def fold_email(text: str) -> str:
    """Return an address in the form that is compared."""
    return unicodedata.normalize("NFKC", text).strip(" .").casefold()


def is_telling(form: str) -> bool:
    """Say whether a form is long enough to stand in a text for no other reason than that it is this number."""
    digits = sum(character.isdigit() for character in form)
    if digits == len(form):
        return digits >= MIN_DIGITS and len(set(form)) > 1
    return digits >= MIN_MIXED_DIGITS and MIN_LENGTH <= len(form) <= MAX_LENGTH


def prints_of(keys: TenantKeys, pii_class: PiiClass, value: str) -> frozenset[int]:
    """Return the prints of a value in each way to write it; none for a class that has no numbers."""
    if pii_class is PiiClass.EMAIL:
        return frozenset({hash_form(keys.guard, fold_email(value))})
    return frozenset(hash_form(keys.guard, form) for form in _forms(pii_class, value) if is_telling(form))


def insert_prints(conn: Connection[Any], keys: TenantKeys, rows: Sequence[tuple[str, PiiItem]]) -> None:
    """Keep the prints of a record's values, each with its token. Idempotent."""
    columns: dict[str, list[Any]] = {"prints": [], "classes": [], "tokens": [], "subjects": []}
    for token, item in rows:
        if item.pii_class not in NUMBERED:
            continue
        for number in sorted(prints_of(keys, item.pii_class, item.value)):
            columns["prints"].append(number - (1 << 64) if number >> 63 else number)
            columns["classes"].append(item.pii_class.value)
            columns["tokens"].append(token)
            columns["subjects"].append(item.subject_id)
    if columns["prints"]:
        conn.execute(QUERIES["insert_prints"], {"tenant_id": keys.tenant_id} | columns)


def _forms(pii_class: PiiClass, value: str) -> Iterator[str]:
    if pii_class not in NUMBERED:
        return
    folded = fold_number(value)
    yield folded
    if pii_class is PiiClass.PHONE:
        yield from _phone_forms(value)
    if pii_class is PiiClass.IBAN and len(folded) > MIN_DIGITS:
        yield folded[4:]
        for tails in (_ACCOUNT_TAILS, _WITH_BRANCH_TAILS):
            tail = folded[-tails[folded[:2]] :] if folded[:2] in tails else ""
            yield tail
            yield tail.lstrip("0")


def _phone_forms(value: str) -> Iterator[str]:
    """Yield with the country's code, with 00, with the trunk zero, and bare."""
    digits = "".join(character for character in value if character.isdigit())
    international = value.strip().startswith(("+", "00"))
    if not international:
        yield digits.lstrip("0")
        return
    full = digits.removeprefix("00")
    yield full
    yield f"00{full}"
    try:
        number = phonenumbers.parse(f"+{full}", None)
    except phonenumbers.NumberParseException:
        return
    national = phonenumbers.national_significant_number(number)
    yield national
    yield f"0{national}"
    yield f"{number.country_code}0{national}"
