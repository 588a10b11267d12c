"""Check digits of national numbers, one function a family. Each takes the bare characters, upper case, of the right length.

Sources: the issuing offices' published rules; ISO 7064 for mod 11,10 and mod 97.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

Check = Callable[[str], bool]
_SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
# fmt: off
_ITALIAN_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
        25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def _numbers(text: str) -> list[int]:
    return [int(character) for character in text]


def _weighted(text: str, weights: Sequence[int]) -> int:
    return sum(int(character) * weight for character, weight in zip(text, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    """Say whether there is such a day in the life of somebody: 1900 to 2030."""
    try:
        return 1900 <= date(year, month, day).year <= 2030
    except ValueError:
        return False


def has_short_date(text: str, order: str = "ymd") -> bool:
    """Say whether six digits are a day, of either century."""
    first, second, third = int(text[:2]), int(text[2:4]), int(text[4:6])
    year, month, day = (first, second, third) if order == "ymd" else (third, second, first)
    return is_date(1900 + year, month, day) or is_date(2000 + year, month, day)


def is_luhn_sum(digits: str) -> bool:
    """Check by Luhn, any length."""
    total = 0
    for place, number in enumerate(reversed(_numbers(digits))):
        doubled = number * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0 and len(set(digits)) > 1


def is_mod_11_10(digits: str) -> bool:
    """Check by ISO 7064 mod 11,10: German tax ids, Croatian OIB."""
    product = 10
    for number in _numbers(digits[:-1]):
        product = (product + number) % 10 or 10
        product = product * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def is_german_tax_id(digits: str) -> bool:
    """Check eleven digits: one digit twice or thrice among the first ten, then mod 11,10."""
    return digits[0] != "0" and len(set(digits[:10])) in (8, 9) and is_mod_11_10(digits)


def is_nhs(digits: str) -> bool:
    """Check ten digits of the British health service."""
    check = 11 - _weighted(digits, range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(digits[9]) and len(set(digits)) > 1


def is_bsn(digits: str) -> bool:
    """Check nine digits of the Netherlands."""
    return (_weighted(digits, range(9, 1, -1)) - int(digits[8])) % 11 == 0 and len(set(digits)) > 1


def is_portuguese_nif(digits: str) -> bool:
    """Check nine digits of Portugal."""
    check = 11 - _weighted(digits, range(9, 1, -1)) % 11
    return digits[0] in "1235689" and (0 if check > 9 else check) == int(digits[8])


def is_pesel(digits: str) -> bool:
    """Check eleven digits of Poland: a date whose month tells the century, weights 1 3 7 9."""
    month = int(digits[2:4])
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[month // 20]
    if century > 2000 or not is_date(century + int(digits[:2]), month % 20, int(digits[4:6])):
        return False
    return (_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) + int(digits[10])) % 10 == 0


def is_personnummer(digits: str) -> bool:
    """Check ten or twelve digits of Sweden: a date (days + 60 for coordination numbers), Luhn over the last ten."""
    short = digits[-10:]
    day = int(short[4:6])
    return has_short_date(f"{short[:4]}{day - 60 if day > 60 else day:02d}") and is_luhn_sum(short)


def is_norwegian(digits: str) -> bool:
    """Check eleven digits of Norway: a date and two mod-11 digits."""
    first = 11 - _weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = 11 - _weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return has_short_date(digits, "dmy") and first % 11 == int(digits[9]) and second % 11 == int(digits[10])


def is_cpr(digits: str) -> bool:
    """Check the date of a Danish number; its check digit is no longer used."""
    return has_short_date(digits, "dmy")


def is_hetu(text: str) -> bool:
    """Check a Finnish code: date, three digits, a letter by mod 31. The century's mark is left out."""
    return has_short_date(text, "dmy") and _HETU_LETTERS[int(text[:6] + text[-4:-1]) % 31] == text[-1]


def is_ahv(digits: str) -> bool:
    """Check thirteen digits of Switzerland (EAN-13 that begins with 756)."""
    return digits.startswith("756") and sum(n * (3 if place % 2 else 1) for place, n in enumerate(_numbers(digits))) % 10 == 0


def is_nir(text: str) -> bool:
    """Check a French number: 13 characters and a key by mod 97. Corsica's letters count as 19 and 18."""
    body = text[:13].replace("2A", "19").replace("2B", "18")
    plausible = text[0] in "123478" and (1 <= int(body[3:5]) <= 12 or int(body[3:5]) >= 20)
    return plausible and 97 - int(body) % 97 == int(text[13:15])


def is_belgian(digits: str) -> bool:
    """Check eleven digits of Belgium: a date, mod 97; from 2000 on with a 2 before it."""
    body, check = int(digits[:9]), int(digits[9:])
    return int(digits[2:4]) <= 12 and check in (97 - body % 97, 97 - (2_000_000_000 + body) % 97)


def is_czech(digits: str) -> bool:
    """Check ten digits of Czechia and Slovakia: a date (months + 50 for women), divisible by 11."""
    month = int(digits[2:4]) % 50 % 20
    return 1 <= month <= 12 and 1 <= int(digits[4:6]) <= 31 and int(digits) % 11 == 0


def is_cnp(digits: str) -> bool:
    """Check thirteen digits of Romania."""
    check = _weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return digits[0] in "12345678" and has_short_date(digits[1:7]) and (1 if check == 10 else check) == int(digits[12])


def is_jmbg(digits: str) -> bool:
    """Check thirteen digits of former Yugoslavia: day, month, three digits of the year, mod 11."""
    check = 11 - _weighted(digits, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    year = (1000 if digits[4] == "9" else 2000) + int(digits[4:7])
    return is_date(year, int(digits[2:4]), int(digits[:2])) and (0 if check > 9 else check) == int(digits[12])


def is_baltic(digits: str) -> bool:
    """Check eleven digits of Estonia and Lithuania."""
    check = _weighted(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = _weighted(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return digits[0] in "123456" and has_short_date(digits[1:7]) and check == int(digits[10])


def is_egn(digits: str) -> bool:
    """Check ten digits of Bulgaria."""
    month = int(digits[2:4])
    plain = f"{digits[:2]}{month % 20:02d}{digits[4:6]}"
    return has_short_date(plain) and _weighted(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(digits[9])


def is_amka(digits: str) -> bool:
    """Check eleven digits of Greece: a date and Luhn."""
    return has_short_date(digits, "dmy") and is_luhn_sum(digits)


def is_tckn(digits: str) -> bool:
    """Check eleven digits of Turkey."""
    n = _numbers(digits)
    return n[0] != 0 and (sum(n[0:9:2]) * 7 - sum(n[1:8:2])) % 10 == n[9] and sum(n[:10]) % 10 == n[10]


def is_south_african(digits: str) -> bool:
    """Check thirteen digits of South Africa: a date, citizenship 0 to 2, Luhn."""
    return has_short_date(digits) and digits[10] in "012" and is_luhn_sum(digits)


def is_egyptian(digits: str) -> bool:
    """Check the date and the governorate of fourteen digits of Egypt."""
    century = {"2": 1900, "3": 2000}.get(digits[0])
    return (
        century is not None and is_date(century + int(digits[1:3]), int(digits[3:5]), int(digits[5:7])) and int(digits[7:9]) <= 88
    )


def is_chinese(text: str) -> bool:
    """Check eighteen characters of China: a date, mod 11-2."""
    if not is_date(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[_weighted(text[:17], weights) % 11] == text[17]


def is_korean(digits: str) -> bool:
    """Check the date and the century of thirteen digits of South Korea; its check digit is no longer kept."""
    return has_short_date(digits) and digits[6] in "12345678"


def is_my_number(digits: str) -> bool:
    """Check twelve digits of Japan."""
    rest = _weighted(reversed_digits(digits[:11]), (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(digits[11]) and len(set(digits)) > 1


def reversed_digits(digits: str) -> str:
    """Return the digits from the last to the first."""
    return digits[::-1]


def is_taiwanese(text: str) -> bool:
    """Check a letter and nine digits of Taiwan."""
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0]) + 10
    return (number // 10 + number % 10 * 9 + _weighted(text[1:9], range(8, 0, -1)) + int(text[9])) % 10 == 0


def is_hkid(text: str) -> bool:
    """Check one or two letters, six digits and a check character of Hong Kong."""
    body = text[:-1].rjust(8)
    values = [36 if one == " " else int(one, 36) for one in body]
    check = 11 - sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True)) % 11
    return text[-1] == {10: "A", 11: "0"}.get(check, str(check))


def is_nric(text: str) -> bool:
    """Check a letter, seven digits and a letter of Singapore."""
    total = _weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if text[0] in "TG" else 3 if text[0] == "M" else 0)
    letters = "JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK" if text[0] in "FG" else "KLJNPQRTUWX"
    place = 10 - total % 11 if text[0] == "M" else total % 11
    return letters[place] == text[8]


def is_indonesian(digits: str) -> bool:
    """Check province and date of sixteen digits of Indonesia (days + 40 for women)."""
    day = int(digits[6:8])
    return 11 <= int(digits[:2]) <= 96 and has_short_date(f"{day - 40 if day > 40 else day:02d}{digits[8:12]}", "dmy")


def is_malaysian(digits: str) -> bool:
    """Check the date and the place of twelve digits of Malaysia."""
    return has_short_date(digits) and 1 <= int(digits[6:8]) <= 99


def is_vietnamese(digits: str) -> bool:
    """Check the province and the century of twelve digits of Vietnam."""
    return digits[0] == "0" and 1 <= int(digits[:3]) <= 96 and digits[3] in "0123"


def is_tfn(digits: str) -> bool:
    """Check nine digits of an Australian tax file number."""
    return _weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(digits)) > 1


def is_abn(digits: str) -> bool:
    """Check eleven digits of an Australian business number."""
    return (
        _weighted(f"{int(digits[0]) - 1}{digits[1:]}", (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) % 89 == 0
        if digits[0] != "0"
        else False
    )


def is_cnpj(digits: str) -> bool:
    """Check fourteen digits of a Brazilian company."""
    if len(set(digits)) == 1:
        return False
    for length in (12, 13):
        weights = [(length - place - 1) % 8 + 2 for place in range(length)]
        rest = _weighted(digits[:length], weights) % 11
        if (0 if rest < 2 else 11 - rest) != int(digits[length]):
            return False
    return True


def is_cuit(digits: str) -> bool:
    """Check eleven digits of Argentina."""
    check = 11 - _weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return digits[:2] in {"20", "23", "24", "27", "30", "33", "34"} and {11: 0, 10: 9}.get(check, check) == int(digits[10])


def is_rut(text: str) -> bool:
    """Check seven or eight digits and a check character of Chile."""
    check = 11 - sum(int(one) * (place % 6 + 2) for place, one in enumerate(reversed(text[:-1]))) % 11
    return {11: "0", 10: "K"}.get(check, str(check)) == text[-1]


def is_teudat_zehut(digits: str) -> bool:
    """Check nine digits of Israel."""
    return is_luhn_sum(digits)


def is_codice_fiscale(text: str) -> bool:
    """Check sixteen characters of Italy."""
    even = sum(int(one, 36) - (10 if one.isalpha() else 0) for one in text[1:15:2])
    return chr(65 + (sum(_ITALIAN_ODD[one] for one in text[0:15:2]) + even) % 26) == text[15]


def is_spanish(text: str) -> bool:
    """Check the letter of a Spanish DNI or NIE."""
    body = text[:-1].replace("X", "0", 1).replace("Y", "1", 1).replace("Z", "2", 1)
    return body.isdecimal() and _SPANISH_LETTERS[int(body) % 23] == text[-1]


def is_ppsn(text: str) -> bool:
    """Check seven digits and one or two letters of Ireland."""
    total = _weighted(text[:7], range(8, 1, -1)) + (9 * (ord(text[8]) - 64) if len(text) == 9 and text[8] != "W" else 0)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == text[7]


def is_clabe(digits: str) -> bool:
    """Check eighteen digits of a Mexican account."""
    total = sum(int(one) * weight % 10 for one, weight in zip(digits[:17], (3, 7, 1) * 6, strict=False))
    return digits[0] in "0156789" and (10 - total % 10) % 10 == int(digits[17])


def is_cbu(digits: str) -> bool:
    """Check twenty-two digits of an Argentine account."""
    first = (10 - _weighted(digits[:7], (7, 1, 3, 9, 7, 1, 3)) % 10) % 10
    second = (10 - _weighted(digits[8:21], (3, 9, 7, 1) * 4) % 10) % 10
    return first == int(digits[7]) and second == int(digits[21])


def is_polish_account(digits: str) -> bool:
    """Check twenty-six digits of a Polish account: an IBAN without its country."""
    return int(digits[2:] + "2521" + digits[:2]) % 97 == 1
