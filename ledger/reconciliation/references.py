"""How a statement line names things of ours, and what may be kept of what a bank writes.

Banks upper-case ids, turn `_` into a sign that their network allows, and cut a prefix away; free text around an id may hold
names and account numbers. So ids of ours are found and kept, and everything else is kept as a digest or not at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from uuid import UUID

_HEX = r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OWN_ID = re.compile(
    rf"(?:(?<![0-9a-z])(?P<prefix>tfr|dec|ins)[_\-/. ]?|(?<![0-9a-z_]))(?P<hex>{_HEX})(?![0-9a-z])", re.IGNORECASE
)
_PLAIN_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}")
_CARD = re.compile(r"\d{12,19}")
_DIGEST_DIGITS = 32


def find_own_ids(text: str) -> tuple[str, ...]:
    """Return what can be an id of ours in a text: `tfr_…`, `dec_…`, `ins_…`, and `uuid:…` for a bare one, maybe a stranger's."""
    return tuple(
        f"{found['prefix'].lower()}_{UUID(found['hex']).hex}" if found["prefix"] else f"uuid:{UUID(found['hex']).hex}"
        for found in _OWN_ID.finditer(text)
    )


def keys_of_id(typed_id: str) -> frozenset[str]:
    """Return the reference keys under which a line may name `tfr_…`, `dec_…` or `ins_…`."""
    return frozenset({typed_id, f"uuid:{typed_id[4:]}"})


def reference_key(text: str) -> str:
    """Return the form in which a whole reference is kept and compared: an id of ours as it is, anything else as a digest."""
    own = _OWN_ID.fullmatch(text.strip())
    if own is not None:
        return find_own_ids(text)[0]
    return digest_of_text("".join(text.split()).casefold())


def is_own_id(key: str) -> bool:
    """Say whether a reference key can only be an id of ours."""
    return key.startswith(("tfr_", "dec_", "ins_"))


def read_reference_keys(*, references: Iterable[str], texts: Iterable[str]) -> tuple[str, ...]:
    """Return the sorted keys of an entry: of each whole reference, and of the ids inside references and free texts."""
    given = [reference for reference in references if reference.strip()]
    keys = {reference_key(reference) for reference in given}
    keys.update(own for text in (*given, *texts) for own in find_own_ids(text))
    return tuple(sorted(keys))


def shown_reference(text: str) -> str | None:
    """Return an entry's reference as it may be kept: plain, or as a digest where it could be an account or a card number."""
    compact = text.strip()
    if not compact:
        return None
    if _PLAIN_REFERENCE.fullmatch(compact) is None or _is_account_number(compact.upper()) or _is_card_number(compact):
        return digest_of_text(compact)
    return compact


def digest_of_text(text: str) -> str:
    """Return a digest that tells equal texts and nothing else of them."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]}"


def _is_account_number(text: str) -> bool:
    """Say whether a text has the check digits of an IBAN somewhere. Source: ISO 13616, ISO 7064 mod 97-10."""
    compact = re.sub(r"[^A-Z0-9]", "", text)
    return any(
        int("".join(str(int(sign, 36)) for sign in candidate[4:] + candidate[:4])) % 97 == 1
        for match in re.finditer(r"(?=([A-Z]{2}\d{2}[A-Z0-9]{11,30}))", compact)
        for candidate in (match[1][:length] for length in range(15, len(match[1]) + 1))
    )


def _is_card_number(text: str) -> bool:
    """Say whether a text is digits with the check digit of card numbers. Source: ISO/IEC 7812-1."""
    digits = re.sub(r"[ .:/+-]", "", text)
    if _CARD.fullmatch(digits) is None:
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0
