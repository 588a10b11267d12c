"""Facts that must survive masking: amounts, dates of transactions, references, merchants, rates, counts, codes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import date, timedelta

from bench.masking import written
from bench.masking.countries import Country, fill
from bench.masking.labels import Part
from bench.masking.people import read_lists

_FIRST_DAY = date(2024, 1, 3)
_NAMED = {
    "merchant": "merchants", "bank": "banks", "product": "products", "employer": "employers", "error": "errors",
    "duration": "durations", "status": "statuses",
}  # fmt: skip
_SHAPES = {"reference": "references", "case": "cases", "invoice": "invoices"}
_OWN_STYLE_PERCENT = 15
_SYMBOLS = {"USD": "$", "GBP": "£", "EUR": "€", "INR": "₹", "JPY": "¥", "NGN": "₦", "BRL": "R$", "AUD": "A$", "CAD": "C$"}


def write_fact(kind: str, *, part: Part, country: Country, rng: random.Random) -> str:
    """Return a fact of a kind as a text of a country shows it."""
    lists = read_lists(part)
    if kind in _SHAPES:
        return fill(rng.choice(lists[_SHAPES[kind]]), rng)
    if kind in _NAMED:
        return str(rng.choice(lists[_NAMED[kind]]))
    if kind == "amount" and rng.randrange(100) < _OWN_STYLE_PERCENT:
        return str(rng.choice(lists["amounts"])).replace(";", ",")
    return _FACTS[kind](country, rng)


def _amount(country: Country, rng: random.Random) -> str:
    whole = rng.choice((rng.randint(1, 99), rng.randint(100, 9_999), rng.randint(10_000, 250_000)))
    minor = rng.randint(0, 99)
    code = country.currency
    if code in ("JPY", "VND", "IDR"):
        return rng.choice((f"{code} {whole * 100:,}", f"{whole * 100:,} {code}"))
    written_amount = f"{whole:,}.{minor:02d}"
    if country.group == "eu":
        written_amount = rng.choice((f"{whole:,}".replace(",", ".") + f",{minor:02d}", written_amount))
    symbol = _SYMBOLS.get(code)
    options = [f"{code} {written_amount}", f"{written_amount} {code}", f"{code} {whole:,}"]
    options += [f"{symbol}{written_amount}", f"{symbol}{whole:,}"] * 2 if symbol else []
    return rng.choice(options)


def _day(country: Country, rng: random.Random) -> str:
    return written.write_date(_any_day(rng), country.date_order, rng)


def _any_day(rng: random.Random) -> date:
    return _FIRST_DAY + timedelta(days=rng.randrange(900))


def _time(rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"


_FACTS: dict[str, Callable[[Country, random.Random], str]] = {
    "amount": _amount,
    "date": _day,
    "isodate": lambda _, rng: _any_day(rng).isoformat(),
    "shortdate": lambda _, rng: rng.choice((f"{_any_day(rng):%d/%m}", f"{_any_day(rng):%d %b}", f"{_any_day(rng):%b %d}")),
    "timestamp": lambda _, rng: f"{_any_day(rng).isoformat()}T{_time(rng)}:{rng.randint(0, 59):02d}Z",
    "time": lambda _, rng: _time(rng),
    "number": lambda _, rng: f"{rng.randint(1, 4_000)}.{rng.randint(0, 99):02d}",
    "percent": lambda _, rng: rng.choice((f"{rng.randint(1, 29)}.{rng.randint(0, 99):02d}%", f"{rng.randint(1, 99)}%",
        f"{rng.randint(1, 30)} %")),
    "count": lambda _, rng: str(rng.randint(2, 48)),
    "bic": lambda _, rng: rng.choice(("DEUTDEFF", "BARCGB22XXX", "CHASUS33", "HDFCINBB", "NWBKGB2L", "BNPAFRPP", "INGBNL2A",
        "SBZAZAJJ", "DBSSSGSG")),
    "brand": lambda _, rng: rng.choice(("Visa", "Mastercard", "Amex", "Discover", "RuPay", "Maestro")),
    "rate": lambda _, rng: f"{rng.randint(0, 20)}.{rng.randint(1000, 9999)}",
    "currency": lambda country, _: country.currency,
    "mcc": lambda _, rng: rng.choice(("5411", "5812", "4121", "5999", "6011", "7995")),
    "latency": lambda _, rng: f"{rng.randint(3, 2_400)}ms",
    "version": lambda _, rng: f"{rng.randint(1, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 30)}",
    "traceid": lambda _, rng: f"{rng.getrandbits(128):032x}",
    "eventid": lambda _, rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
}  # fmt: skip
