"""Check digits: is this number what it looks like? Pure; each takes the bare characters or any written form."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable

# Source: SWIFT IBAN registry, release 99: total length by country.
IBAN_LENGTHS: dict[str, int] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip

_MAESTRO = r"50|5[6-9]|6[0-9]"
_SIXTEEN = r"4|5[1-5]|2(?:2[0-9]{2}|[3-6][0-9]{2}|7[01][0-9]|720)|35(?:2[89]|[3-8])|81|82|9792|" + _MAESTRO
_CARD_HEADS = {
    12: re.compile(_MAESTRO), 13: re.compile("4|" + _MAESTRO), 14: re.compile(r"30[0-5]|309|36|3[89]|" + _MAESTRO),
    15: re.compile(r"3[47]|2014|2149|" + _MAESTRO), 16: re.compile(_SIXTEEN + r"|30[0-5]|3[689]"),
    17: re.compile("62|" + _MAESTRO),
    18: re.compile("62|" + _MAESTRO), 19: re.compile("4|" + _MAESTRO),
}  # fmt: skip
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

Validator = Callable[[str], bool]
_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104",
    "9876543210",
)  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def digits_of(text: str) -> str:
    """Return the ASCII digits of a text."""
    return "".join(character for character in text if character in "0123456789")


def alphanumeric_of(text: str) -> str:
    """Return the letters and digits of a text, upper case."""
    return "".join(character for character in text if character.isalnum()).upper()


def is_luhn(text: str) -> bool:
    """Check a card number or IMEI: 12 to 19 digits. Source: ISO/IEC 7812-1 annex B."""
    digits = digits_of(text)
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def is_card_number(text: str) -> bool:
    """Check Luhn and that an issuer of cards has numbers that begin so and are so long. Source: ISO/IEC 7812, card schemes."""
    digits = digits_of(text)
    return any(_CARD_HEADS[length].match(digits) for length in (len(digits),) if length in _CARD_HEADS) and is_luhn(digits)


def is_iban(text: str) -> bool:
    """Check length by country and mod 97. Source: ISO 13616."""
    iban = alphanumeric_of(text)
    if not iban.isascii() or IBAN_LENGTHS.get(iban[:2]) != len(iban):
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def is_aba_routing(text: str) -> bool:
    """Check the nine digits of a US routing number."""
    digits = digits_of(text)
    if len(digits) != 9 or digits == "000000000":
        return False
    return sum(int(digit) * weight for digit, weight in zip(digits, (3, 7, 1) * 3, strict=True)) % 10 == 0


def is_us_ssn(text: str) -> bool:
    """Check the ranges of a US social security number."""
    digits = digits_of(text)
    return (
        len(digits) == 9
        and digits[:3] not in {"000", "666"}
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
    )


def is_aadhaar(text: str) -> bool:
    """Check an Indian Aadhaar number by Verhoeff's algorithm."""
    digits = digits_of(text)
    if len(digits) != 12 or digits[0] in "01":
        return False
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][int(digit)])])
    return check == 0


def is_cpf(text: str) -> bool:
    """Check a Brazilian CPF by mod 11."""
    digits = [int(digit) for digit in digits_of(text)]
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for length in (9, 10):
        weighted = sum(digit * (length + 1 - place) for place, digit in enumerate(digits[:length]))
        if weighted * 10 % 11 % 10 != digits[length]:
            return False
    return True


def is_spanish_id(text: str) -> bool:
    """Check the letter of a Spanish DNI or NIE."""
    number = alphanumeric_of(text)
    body = number[:-1].replace("X", "0", 1).replace("Y", "1", 1).replace("Z", "2", 1)
    return len(number) == 9 and body.isdecimal() and number[-1] == _DNI_LETTERS[int(body) % 23]


def is_ip_address(text: str) -> bool:
    """Check an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_wallet_by_check(text: str) -> bool:
    """Check the last four bytes of a base58 address: the beginning of a double SHA-256. Source: Bitcoin's base58check."""
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    raw = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def has_digits(minimum: int) -> Validator:
    """Make a check for at least so many digits."""

    def check(text: str) -> bool:
        return len(digits_of(text)) >= minimum

    return check
