"""Invented people: names and numbers of a country, and the record that a bank would hold of them."""

from __future__ import annotations

import random
import tomllib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bench.masking import written
from bench.masking.countries import COUNTRIES, Country, fill, make_card, make_iban, make_wallet
from bench.masking.labels import Part
from masking.classes import PiiClass

_FOREIGN_NAME_PERCENT = 30
_LANDS = ("US", "UK", "CA", "AU", "NZ", "IE", "DE", "NL", "SE", "SG", "AE")
_KEY_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"
_FIRST_BIRTH = date(1948, 1, 1)

CLASS_OF = {
    "name": PiiClass.PERSON, "native": PiiClass.PERSON, "email": PiiClass.EMAIL, "phone": PiiClass.PHONE, "card": PiiClass.CARD,
    "iban": PiiClass.IBAN, "account": PiiClass.ACCOUNT, "customer_id": PiiClass.CUSTOMER_ID,
    "upi": PiiClass.USERNAME, "wallet": PiiClass.WALLET, "username": PiiClass.USERNAME, "routing": PiiClass.ROUTING,
        "national": PiiClass.NATIONAL_ID,
    "passport": PiiClass.PASSPORT, "license": PiiClass.LICENSE, "dob": PiiClass.BIRTH_DATE, "address": PiiClass.ADDRESS,
    "postcode": PiiClass.ADDRESS, "ip": PiiClass.IP, "device": PiiClass.DEVICE, "cvv": PiiClass.SECRET, "pin": PiiClass.SECRET,
    "otp": PiiClass.SECRET, "password": PiiClass.SECRET, "apikey": PiiClass.SECRET,
}  # fmt: skip
_RECORDED = ("email", "phone", "card", "account", "national", "passport", "license", "dob", "address")


@cache
def read_lists(part: Part) -> dict[str, Any]:
    """Return the lists of a part: country -> list name -> entries; the lists without a country at the top."""
    tables = tomllib.loads((Path(__file__).parent / "lists" / f"{part}.toml").read_text(encoding="utf-8"))
    return {
        name: _entries(entry) if isinstance(entry, str) else {key: _entries(text) for key, text in entry.items()}
        for name, entry in tables.items()
    }


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(", ")]


@dataclass(slots=True)
class Person:
    """Hold an invented person. `values` are registered forms by kind, made when they are first asked for."""

    part: Part
    code: str
    group: str
    given: str
    family: str
    native: str | None
    birth: date
    rng: random.Random
    values: dict[str, str] = field(default_factory=dict)
    terms: dict[str, str] = field(default_factory=dict)

    @property
    def country(self) -> Country:
        """Return where the person lives."""
        return COUNTRIES[self.code]

    @property
    def full_name(self) -> str:
        """Return the name in the order of its culture."""
        return (
            f"{self.family} {self.given}" if self.group == "sea" and self.code in ("SG", "VN") else f"{self.given} {self.family}"
        )

    def value(self, kind: str) -> str:
        """Return the registered form of a value of a kind."""
        if kind not in self.values:
            self.values[kind] = _MAKERS[kind](self)
        return self.values[kind]

    def has(self, kind: str) -> bool:
        """Say whether such people have such a value."""
        if kind == "native":
            return self.native is not None
        return bool({"iban": self.country.iban, "routing": self.country.routing}.get(kind, True))

    def record(self) -> tuple[tuple[PiiClass, str], ...]:
        """Return what a bank's record holds: (class, registered form)."""
        kinds = [kind for kind in (*_RECORDED, "iban", "routing") if self.has(kind)]
        names = [(PiiClass.PERSON, name) for name in (self.full_name, self.native) if name]
        extra = [kind for kind in ("customer_id", "upi", "username", "wallet") if kind in self.values]
        return (*names, *((CLASS_OF[kind], self.value(kind)) for kind in (*kinds, *extra)))


def invent_person(part: Part, code: str, rng: random.Random) -> Person:
    """Return a person of a country; in lands of immigration three in ten have a name of elsewhere."""
    lists = read_lists(part)
    origin = code
    if code in _LANDS and rng.randrange(100) < _FOREIGN_NAME_PERCENT:
        origin = rng.choice(sorted(COUNTRIES))
    names = lists[origin]
    given, family = rng.choice(names["given"]), rng.choice(names["family"])
    native = rng.choice(names["native"]) if "native" in names and origin == code else None
    birth = _FIRST_BIRTH + timedelta(days=rng.randrange(58 * 365))
    return Person(part, code, COUNTRIES[origin].group, given, family, native, birth, random.Random(rng.random()))


def _make_email(person: Person) -> str:
    rng, given, family = person.rng, written.handle_of(person.given), written.handle_of(person.family)
    local = rng.choice(
        (f"{given}.{family}", f"{given[0]}{family}", f"{given}_{family}{rng.randint(1, 99)}", f"{family}.{given[0]}")
    )
    return f"{local}@{rng.choice(read_lists(person.part)['domains'])}"


def _make_address(person: Person) -> str:
    city, _, region = person.rng.choice(read_lists(person.part)[person.code]["cities"]).partition("|")
    fields = {"street": person.value("street"), "city": city, "region": region, "postcode": person.value("postcode")}
    return person.country.layout.format(**fields)


def _make_street(person: Person) -> str:
    street, number = person.rng.choice(read_lists(person.part)[person.code]["streets"]), person.rng.randint(1, 240)
    if any(one.isdigit() for one in street) and person.code not in ("US", "DE"):
        return str(street)
    first = COUNTRIES[person.code].group in ("anglo", "south_asia", "africa", "sea") or person.code == "FR"
    return f"{number} {street}" if first and person.code != "ID" else f"{street} {number}"


def _make_termed(kind: str) -> Callable[[Person], str]:
    def make(person: Person) -> str:
        options = person.country.national if kind == "national" else person.country.routing
        term, function = person.rng.choice(options)
        person.terms[kind] = term
        return function(person.rng, person.birth)

    return make


def _make_ip(person: Person) -> str:
    rng = person.rng
    if rng.random() < 0.2:
        return ":".join(("2001", "db8", *(f"{rng.getrandbits(16):x}" for _ in range(6))))
    return f"{rng.choice((81, 102, 177, 203, 49))}.{rng.randint(1, 254)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}"


def _make_device(person: Person) -> str:
    rng = person.rng
    kind = rng.randrange(4)
    if kind == 0:
        return fill("35############%", rng)
    if kind == 1:
        return ":".join(f"{rng.getrandbits(8):02x}" for _ in range(6))
    made = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return made.upper() if kind == 2 else made


def _make_upi(person: Person) -> str:
    return f"{written.handle_of(person.given)}{fill('##', person.rng)}@{person.rng.choice(read_lists(person.part)['upi_banks'])}"


def _make_username(person: Person) -> str:
    given, family = written.handle_of(person.given), written.handle_of(person.family)
    return person.rng.choice(
        (f"{given}{family[:1]}{person.birth:%y}", f"{given[:1]}{family}{fill('##', person.rng)}", f"{given}.{family}")
    )


def _make_secret(shapes: tuple[str, ...]) -> Callable[[Person], str]:
    return lambda person: fill(person.rng.choice(shapes), person.rng)


def _make_password(person: Person) -> str:
    word = person.rng.choice(read_lists(person.part)["passwords"])
    return f"{word}{person.rng.choice('!#@$_')}{fill('###', person.rng)}"


def _make_apikey(person: Person) -> str:
    rng = person.rng
    shape = fill(rng.choice(read_lists(person.part)["api_keys"]), rng)
    body = "".join(rng.choice(_KEY_LETTERS) for _ in range(36))
    return shape.rstrip("*") + body[: max(20, 36 - len(shape))] if shape.endswith("*") else shape


_MAKERS: dict[str, Callable[[Person], str]] = {
    "email": _make_email,
    "phone": lambda person: f"{person.country.phone} {fill(person.rng.choice(person.country.mobile), person.rng)}",
    "card": lambda person: make_card(person.rng),
    "iban": lambda person: make_iban(person.code, person.rng),
    "account": lambda person: fill(person.country.account, person.rng),
    "customer_id": lambda person: fill(person.rng.choice(read_lists(person.part)["customer_ids"]), person.rng),
    "upi": _make_upi,
    "wallet": lambda person: make_wallet(person.rng),
    "username": _make_username,
    "routing": _make_termed("routing"),
    "national": _make_termed("national"),
    "passport": lambda person: fill(person.country.passport, person.rng),
    "license": lambda person: fill(person.country.license, person.rng),
    "dob": lambda person: person.birth.isoformat(),
    "street": _make_street,
    "postcode": lambda person: fill(person.country.postcode, person.rng),
    "address": _make_address,
    "ip": _make_ip,
    "device": _make_device,
    "cvv": _make_secret(("###",)),
    "pin": _make_secret(("####",)),
    "otp": _make_secret(("######", "######", "########", "####")),
    "password": _make_password,
    "apikey": _make_apikey,
}
