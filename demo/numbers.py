"""Numbers that pass their checksums and belong to nobody: test BINs, unassigned bank codes, documentation networks."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import MappingProxyType

from schwifty import IBAN

# Source: card numbers that schemes and processors publish for tests (4111…, 4242…, 4000 00…, 5555…, 5105 10…, 2223 00…).
TEST_BINS: dict[str, tuple[str, ...]] = {
    "visa": ("400000", "411111", "424242"),
    "mastercard": ("222300", "510510", "555555"),
}

# Bank codes that no register assigns: zeros where they are numeric, TEST where they are letters.
UNASSIGNED_BANK_CODES = MappingProxyType(
    {
        "AE": "000", "AT": "00000", "BR": "00000000", "DE": "00000000", "ES": "0000", "FR": "00000", "GB": "TEST",
        "GR": "000", "IE": "TEST", "IT": "00000", "KW": "TEST", "NL": "TEST", "PL": "000", "PT": "0000", "TR": "00000",
    }
)  # fmt: skip
_IBAN_HOME = "DE"

# Source: RFC 5737 and RFC 3849, networks for documentation.
_TEST_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")

_VERHOEFF_MULTIPLY = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PERMUTE = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def is_luhn_valid(digits: str) -> bool:
    """Say whether a digit string passes the Luhn check. Source: ISO/IEC 7812-1."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def make_pan(random: Random, scheme: str) -> str:
    """Make a 16-digit card number in a test BIN."""
    body = random.choice(TEST_BINS[scheme]) + _digits(random, 9)
    return next(body + check for check in "0123456789" if is_luhn_valid(body + check))


def make_iban(random: Random, country: str) -> str:
    """Make an IBAN of this country, or of the demo bank's where the country has none, at a bank that does not exist."""
    home = country if country in UNASSIGNED_BANK_CODES else _IBAN_HOME
    branch = {"branch_code": "000000"} if home in {"GB", "IE"} else {}
    return str(IBAN.generate(home, bank_code=UNASSIGNED_BANK_CODES[home], account_code=_digits(random, 7), **branch))


def make_ip(random: Random) -> str:
    """Make an address in a documentation network."""
    if random.random() < 0.15:
        return f"2001:db8:{random.randrange(1, 65536):x}::{random.randrange(1, 65536):x}"
    return f"{random.choice(_TEST_NETWORKS)}.{random.randrange(1, 255)}"


def make_phone(random: Random, country: str) -> str:
    """Make a number that never rings: a range kept for fiction where the regulator has one, else an impossible prefix."""
    reserved = _RESERVED_PHONES.get(country)
    if reserved is not None:
        prefix, free = reserved(random)
        return prefix + _digits(random, free)
    # No national number starts with 00, so this one can't be anybody's.
    return f"+{_CALLING_CODES[country]}00{_digits(random, 7)}"


def make_national_id(random: Random, country: str) -> str | None:
    """Make an identity number of a test range, valid by its checksum; None where no such range is known."""
    maker = _NATIONAL_IDS.get(country)
    return maker(random) if maker else None


def is_steuer_id_valid(digits: str) -> bool:
    """Say whether a German tax id passes ISO 7064 MOD 11,10."""
    return len(digits) == 11 and _mod_11_10(digits[:10]) == digits[10]


def is_verhoeff_valid(digits: str) -> bool:
    """Say whether a digit string passes the Verhoeff check."""
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_MULTIPLY[check][int(_VERHOEFF_PERMUTE[index % 8][int(digit)])])
    return check == 0


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


def _mod_11_10(body: str) -> str:
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return str((11 - product) % 10)


def _steuer_id(random: Random) -> str:
    # Ids that start with 0 are kept for tests; of the ten first digits exactly one stands twice.
    others = random.sample("123456789", 8)
    body = "0" + "".join([*others, others[random.randrange(8)]])
    return body + _mod_11_10(body)


def _aadhaar(random: Random) -> str:
    # The issuer's test numbers start with 9999.
    body = "9999" + _digits(random, 7)
    return next(body + check for check in "0123456789" if is_verhoeff_valid(body + check))


def _nino(random: Random) -> str:
    # The prefix QQ is for examples and never issued.
    return f"QQ{_digits(random, 6)}{random.choice('ABCD')}"


def _ssn(random: Random) -> str:
    # No social security number has an area of 900 or more; groups below 50 keep it clear of taxpayer numbers too.
    return f"9{_digits(random, 2)}-{random.randrange(10, 50)}-{random.randrange(1, 10000):04d}"


_NATIONAL_IDS: dict[str, Callable[[Random], str]] = {"DE": _steuer_id, "GB": _nino, "IN": _aadhaar, "US": _ssn}

# Source: ranges that regulators keep for films: Ofcom, NANPA 555-01xx, Bundesnetzagentur 030 23125 xxx, Arcep 06 39 98 xx xx.
_RESERVED_PHONES: dict[str, Callable[[Random], tuple[str, int]]] = {
    "GB": lambda _: ("+447700900", 3),
    "US": lambda random: (f"+1{random.choice(('212', '312', '415', '617', '702'))}55501", 2),
    "DE": lambda _: ("+493023125", 3),
    "FR": lambda _: ("+3363998", 4),
}

_CALLING_CODES = MappingProxyType(
    {
        "AE": "971", "AT": "43", "BE": "32", "BR": "55", "ES": "34", "GR": "30", "IE": "353", "IN": "91", "IT": "39", "JP": "81",
        "KE": "254", "KW": "965", "MX": "52", "NG": "234", "NL": "31", "PL": "48", "PT": "351", "TR": "90", "VN": "84",
    }
)  # fmt: skip
