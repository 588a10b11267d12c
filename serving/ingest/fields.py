"""Types of single fields: what they accept exactly. A refusal's type is the reason code of the quarantine.

Messages never repeat the value: they are stored and shown outside the vault.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError
from schwifty import IBAN
from schwifty.exceptions import SchwiftyException

from domain.money import EXPONENTS
from domain.proposal import MAX_PROPOSED_MINOR

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_IBAN_SHAPE = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{4,30}", re.ASCII)
_LOCAL_NUMBER = re.compile(r"\d[\d -]{3,32}\d", re.ASCII)
_EMAIL_INSIDE = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_IBAN_INSIDE = re.compile(r"\b[A-Z]{2}\d{2}[ A-Z0-9]{10,40}", re.ASCII)
_MANY_DIGITS = re.compile(r"(?:[^0-9]*[0-9]){10}")
_ID_PARTS = re.compile(r"[_:]")
_WITHOUT_SEPARATORS = str.maketrans("", "", "._:-")
# Ranges that card networks issue from; length and check digit decide the rest. Source: ISO/IEC 7812.
_CARD_RANGE = re.compile(r"4|5|6|3[04-9]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", re.ASCII)
_CARD_LENGTHS = range(13, 20)
_CARD_INSIDE = re.compile(r"(?<!\d)[2-6](?:[ -]?\d){12,18}(?!\d)", re.ASCII)


def is_iban(text: str) -> bool:
    """Say whether a text is an IBAN: country, length, structure and check digits. Source: ISO 13616."""
    try:
        IBAN(text)
    except SchwiftyException:
        return False
    return True


def is_luhn_valid(digits: str) -> bool:
    """Say whether a digit string passes the check of card numbers. Source: ISO/IEC 7812-1."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def _require_plain(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        code = "nul_character" if "\x00" in text else "control_character"
        raise PydanticCustomError(code, "holds a control character")
    return text


def _require_time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None:
        raise PydanticCustomError("bad_time", "expected an RFC 3339 time such as 2026-01-31T12:00:00Z")
    if match[2] is None:
        raise PydanticCustomError("naive_time", "a time needs its zone: Z or an offset")
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("bad_time", "no such day or hour") from None
    if moment.year < 1900:
        raise PydanticCustomError("bad_time", "a time before 1900")
    # One fixed form: equal times are equal texts, and texts sort as times do.
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _require_date(text: str) -> str:
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day.year < 1900:
        raise PydanticCustomError("bad_date", "expected a day such as 2026-01-31")
    return text


def _require_currency(text: str) -> str:
    if text not in EXPONENTS:
        raise PydanticCustomError("unlisted_currency", "the currency is not in our ISO 4217 table")
    return text


def _require_account_number(text: str) -> str:
    compact = text.replace(" ", "").upper()
    if _IBAN_SHAPE.fullmatch(compact):
        if not is_iban(compact):
            raise PydanticCustomError("bad_checksum", "the IBAN does not pass its check digits")
        return compact
    if not _LOCAL_NUMBER.fullmatch(text):
        raise PydanticCustomError("bad_value", "expected an IBAN or a local number of 5 to 34 digits, spaces and hyphens")
    return text


def _require_pan(text: str) -> str:
    compact = text.replace(" ", "")
    if not (compact.isascii() and compact.isdigit() and 12 <= len(compact) <= 19):
        raise PydanticCustomError("bad_value", "expected a card number of 12 to 19 digits")
    if not is_luhn_valid(compact):
        raise PydanticCustomError("bad_checksum", "the card number does not pass its check digit")
    return compact


def _require_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise PydanticCustomError("bad_value", "expected an IPv4 or IPv6 address") from None


def _refuse_regulated(text: str) -> str:
    """Keep numbers and addresses of people out of columns that stay plain and that the AI role reads."""
    has_card = any(is_luhn_valid(re.sub(r"\D", "", found)) for found in _CARD_INSIDE.findall(text))
    if has_card or _EMAIL_INSIDE.search(text) or any(_has_iban(found) for found in _IBAN_INSIDE.findall(text)):
        raise PydanticCustomError("regulated_value_in_text", "holds a card number, an IBAN or an e-mail address")
    return text


def _refuse_regulated_id(text: str) -> str:
    """Ids stand in addresses, logs and receipts, so none may be a number that identifies a person's account or card."""
    if _MANY_DIGITS.match(text):
        for part in (text, *_ID_PARTS.split(text)):
            compact = part.translate(_WITHOUT_SEPARATORS).upper()
            if is_iban(compact) or _is_card(compact):
                raise PydanticCustomError("regulated_value_in_id", "is a card number or an IBAN: send an id of your own")
    return text


def _is_card(compact: str) -> bool:
    is_shaped = compact.isascii() and compact.isdigit() and len(compact) in _CARD_LENGTHS
    return is_shaped and _CARD_RANGE.match(compact) is not None and is_luhn_valid(compact)


def _has_iban(found: str) -> bool:
    # The run may go on past the IBAN's end, so every length that an IBAN can have is tried.
    compact = found.replace(" ", "")
    return any(is_iban(compact[:length]) for length in range(15, min(len(compact), 34) + 1))


def _text(max_length: int, *checks: Any) -> Any:
    validators = [AfterValidator(check) for check in (_require_plain, *checks)]
    return Annotated[(str, StringConstraints(min_length=1, max_length=max_length, strip_whitespace=True), *validators)]


def _shaped(pattern: str) -> Any:
    return Annotated[str, StringConstraints(pattern=f"^(?:{pattern})$")]


RecordId = Annotated[
    str, StringConstraints(pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9._:-]{0,63})$"), AfterValidator(_refuse_regulated_id)
]
"""The bank's own id: at most 64 letters, digits and `. _ : -`, and no card number or IBAN. Never interpreted."""
Name = _text(200)
Address = _text(400)
Label = _text(140, _refuse_regulated)
"""Stays plain: the name of a merchant."""
FreeText = _text(140)
"""What strangers wrote: masked on its way in."""
Phone = _shaped(r"\+[1-9][0-9]{6,14}")
Email = _shaped(r"[^\s@]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,6}")
NationalId = _shaped(r"[A-Za-z0-9][A-Za-z0-9 ./-]{2,39}")
Country = _shaped(r"[A-Z]{2}")
Language = _shaped(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")
CategoryCode = _shaped(r"[0-9]{4}")
Word = _shaped(r"[a-z][a-z0-9_]{0,39}")
NetworkReasonCode = _shaped(r"[A-Za-z0-9.]{1,12}")
Username = _shaped(r"[a-z][a-z0-9._-]{0,39}")
PasswordHash = _shaped(r"\$argon2id\$[A-Za-z0-9+/=,$]{40,400}")
UtcTime = Annotated[str, AfterValidator(_require_time)]
Day = Annotated[str, AfterValidator(_require_date)]
Currency = Annotated[str, AfterValidator(_require_currency)]
AccountNumber = Annotated[str, StringConstraints(max_length=64, strip_whitespace=True), AfterValidator(_require_account_number)]
Pan = Annotated[str, StringConstraints(max_length=40, strip_whitespace=True), AfterValidator(_require_pan)]
IpAddress = Annotated[str, StringConstraints(max_length=64), AfterValidator(_require_ip)]
AmountMinor = Annotated[int, Field(gt=0, le=MAX_PROPOSED_MINOR)]
LimitMinor = Annotated[int, Field(ge=0, le=MAX_PROPOSED_MINOR)]
