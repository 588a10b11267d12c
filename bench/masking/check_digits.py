"""Check digits of the world's numbers, written from their public descriptions: a made number passes where a real one would."""

from __future__ import annotations

import hashlib

_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104",
    "9876543210",
)  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")
_VERHOEFF_INVERSE = "0432156789"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CF_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def luhn(digits: str) -> str:
    """Return the digits and their Luhn check digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{digits}{-total % 10}"


def iban(country: str, bban: str) -> str:
    """Return the IBAN of a basic bank account number."""
    number = "".join(str(int(character, 36)) for character in f"{bban}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{bban}"


def verhoeff(digits: str) -> str:
    """Return the digits and their Verhoeff check digit (Aadhaar)."""
    check = 0
    for place, digit in enumerate(reversed(digits), start=1):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][int(digit)])])
    return digits + _VERHOEFF_INVERSE[check]


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """Return the weighted sum."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def aba(digits: str) -> str:
    """Return an ABA routing number of eight digits."""
    return f"{digits}{-weighted(digits, (3, 7, 1, 3, 7, 1, 3, 7)) % 10}"


def tfn(digits: str) -> str | None:
    """Return an Australian tax file number of eight digits, None where none exists."""
    weights = (1, 4, 3, 7, 5, 8, 6, 9, 10)
    last = (weighted(digits, weights) * pow(-10, -1, 11)) % 11
    return None if last > 9 else f"{digits}{last}"


def cpf(digits: str) -> str:
    """Return a Brazilian CPF of nine digits."""
    for _ in range(2):
        rest = weighted(digits, tuple(range(len(digits) + 1, 1, -1))) * 10 % 11
        digits += str(rest % 10)
    return digits


def mod11_id(digits: str, weights: tuple[int, ...]) -> str | None:
    """Return the digits with 11 minus the weighted sum: CUIL, IRD. None where that is 10; 11 is 0."""
    rest = -weighted(digits, weights) % 11
    return None if rest == 10 else f"{digits}{rest}"


def bsn(digits: str) -> str | None:
    """Return a Dutch citizen number of eight digits."""
    rest = weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return None if rest == 10 else f"{digits}{rest}"


def pesel(digits: str) -> str:
    """Return a Polish PESEL of ten digits."""
    return f"{digits}{-weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10}"


def steuer_id(digits: str) -> str:
    """Return a German tax id of ten digits (ISO 7064 mod 11,10)."""
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return f"{digits}{(11 - product) % 10}"


def nir(digits: str) -> str:
    """Return a French social security number of thirteen digits."""
    return f"{digits}{97 - int(digits) % 97:02d}"


def dni(digits: str) -> str:
    """Return a Spanish DNI of eight digits."""
    return digits + "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23]


def codice_fiscale(first: str) -> str:
    """Return an Italian tax code of its first fifteen characters."""
    total = 0
    for place, character in enumerate(first):
        value = int(character) if character.isdigit() else ord(character) - ord("A")
        total += _CF_ODD[value] if place % 2 == 0 else value
    return first + chr(ord("A") + total % 26)


def nric(digits: str) -> str:
    """Return a Singapore NRIC of seven digits."""
    return f"S{digits}{'JZIHGFEDCBA'[weighted(digits, (2, 7, 6, 5, 4, 3, 2)) % 11]}"


def tckn(digits: str) -> str:
    """Return a Turkish identity number of nine digits."""
    odd, even = sum(int(one) for one in digits[0::2]), sum(int(one) for one in digits[1::2])
    tenth = (odd * 7 - even) % 10
    return f"{digits}{tenth}{(odd + even + tenth) % 10}"


def my_number(digits: str) -> str:
    """Return a Japanese individual number of eleven digits."""
    rest = weighted(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return f"{digits}{0 if rest <= 1 else 11 - rest}"


def ppsn(digits: str) -> str:
    """Return an Irish PPS number of seven digits."""
    return digits + "WABCDEFGHIJKLMNOPQRSTUV"[weighted(digits, (8, 7, 6, 5, 4, 3, 2)) % 23]


def curp(first: str) -> str:
    """Return a Mexican CURP of its first seventeen characters."""
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    total = sum(alphabet.index(character) * (18 - place) for place, character in enumerate(first))
    return f"{first}{-total % 10}"


def clabe(digits: str) -> str:
    """Return a Mexican CLABE of seventeen digits."""
    total = sum(int(one) * (3, 7, 1)[place % 3] % 10 for place, one in enumerate(digits))
    return f"{digits}{-total % 10}"


def bitcoin(payload: bytes) -> str:
    """Return a Bitcoin address (base58check) of twenty bytes."""
    body = b"\x00" + payload
    number = int.from_bytes(body + hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4], "big")
    text = ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "1" + text


def segwit(payload: bytes) -> str:
    """Return a Bitcoin address (bech32) of twenty bytes."""
    bits = "".join(f"{byte:08b}" for byte in payload)
    data = [0, *(int(bits[at : at + 5], 2) for at in range(0, len(bits), 5))]
    prefix = [ord(one) >> 5 for one in "bc"] + [0] + [ord(one) & 31 for one in "bc"]
    check = _bech32_sum([*prefix, *data, 0, 0, 0, 0, 0, 0]) ^ 1
    return "bc1" + "".join(_BECH32[one] for one in [*data, *((check >> 5 * (5 - place)) & 31 for place in range(6))])


def _bech32_sum(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> place & 1 else 0
    return check
