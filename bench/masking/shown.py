"""How an invented person's values turn up in a text: the forms that people, forms and machines write."""

from __future__ import annotations

import random
from collections.abc import Callable

from bench.masking import written
from bench.masking.people import Person

_NAME_FORMS = (("full", 70), ("initial", 8), ("lastfirst", 8), ("upper", 6), ("middle", 4), ("lower", 4))


def write_value(person: Person, kind: str, form: str | None, rng: random.Random) -> str:
    """Return a value as a text shows it, in a given form or in one of those people use."""
    if kind == "name":
        return _write_name(person, form or _choose(_NAME_FORMS, rng), rng)
    if kind == "native":
        return person.native or person.full_name
    writer = _WRITERS.get(kind)
    value = person.value(kind)
    return writer(person, value, form, rng) if writer else value


def _choose(weighted: tuple[tuple[str, int], ...], rng: random.Random) -> str:
    return rng.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]


def _write_name(person: Person, form: str, rng: random.Random) -> str:
    given, family, full = person.given, person.family, person.full_name
    if form == "spelled":
        return written.spell_letters(rng.choice((given, family)), rng)
    if form == "lastfirst":
        return rng.choice((f"{family}, {given}", f"{family.upper()}, {given}", f"{family} {given}"))
    if form == "middle":
        return f"{given} {rng.choice('ABEJKLMRST')}. {family}"
    return {
        "full": full, "first": given, "last": family, "upper": full.upper(), "lower": full.lower(),
        "initial": f"{given[0]}. {family}", "initials": f"{given[0]}{family[0]}", "lastinitial": f"{given} {family[0]}.",
        "glued": f"{written.handle_of(given)}{written.handle_of(family)}", "ascii": written.plain_ascii(full),
        "lowerfirst": given.lower(), "lowerlast": family.lower(), "reversed": f"{family}, {given}",
        "mainframe": f"{written.plain_ascii(family).upper()}/{written.plain_ascii(given).upper()}",
        "camel": "".join(part.capitalize() for part in written.plain_ascii(full).split()),
    }[form]  # fmt: skip


def _write_phone(person: Person, value: str, form: str | None, rng: random.Random) -> str:
    code, _, national = value.partition(" ")
    compact = "".join(one for one in national if one.isdigit())
    trunked = person.country.trunk + national
    forms: dict[str, Callable[[], str]] = {
        "international": lambda: value, "e164": lambda: f"{code}{compact}", "zeros": lambda: f"00{code[1:]} {national}",
        "national": lambda: trunked, "compact": lambda: person.country.trunk + compact, "dashed": lambda: trunked.replace(" ",
            "-"),
        "dotted": lambda: trunked.replace(" ", "."), "spoken": lambda: written.speak_digits(person.country.trunk + compact, rng),
        "bracketed": lambda: f"({trunked.partition(' ')[0]}) {trunked.partition(' ')[2]}" if " " in trunked else trunked,
        "trunked": lambda: f"{code} (0){national}" if person.country.trunk else f"{code} {national}",
    }  # fmt: skip
    return forms[form or rng.choice([name for name in forms if name != "spoken"])]()


def _write_grouped(_person: Person, value: str, form: str | None, rng: random.Random) -> str:
    if form == "spoken":
        return written.speak_digits(value, rng)
    chosen = form or rng.choice(("plain", "plain", "grouped", "grouped", "lower"))
    compact = "".join(one for one in value if one.isalnum())
    return {"plain": value, "grouped": written.group_digits(compact, rng), "lower": value.lower(), "compact": compact}[chosen]


def _write_number(_person: Person, value: str, form: str | None, rng: random.Random) -> str:
    if form == "spoken":
        return written.speak_digits(value, rng)
    compact = "".join(one for one in value if one.isalnum())
    chosen = form or rng.choice(("plain", "plain", "plain", "compact", "spaced", "lower"))
    spaced = value.replace("-", " ").replace(".", " ") if value != compact else written.group_digits(compact, rng, size=3)
    return {"plain": value, "compact": compact, "spaced": spaced, "lower": value.lower()}[chosen]


def _write_plain(_person: Person, value: str, form: str | None, rng: random.Random) -> str:
    return written.speak_digits(value, rng) if form == "spoken" else value.lower() if form == "lower" else value


def _write_email(_person: Person, value: str, form: str | None, rng: random.Random) -> str:
    if form == "spoken":
        return written.speak_email(value, rng)
    return value.upper() if form == "upper" or (form is None and rng.random() < 0.05) else value


def _write_birth(person: Person, _value: str, form: str | None, rng: random.Random) -> str:
    birth = person.birth
    forms = {
        "spoken": written.speak_date(birth),
        "iso": birth.isoformat(),
        "compact": f"{birth:%d%m%Y}",
        "basic": f"{birth:%Y%m%d}",
    }
    return forms[form] if form in forms else written.write_date(birth, person.country.date_order, rng)


def _write_address(person: Person, value: str, form: str | None, rng: random.Random) -> str:
    chosen = form or rng.choice(("line", "line", "line", "street", "comma"))
    return {
        "line": value, "street": person.value("street"), "postcode": person.value("postcode"), "block": value.replace(", ", "\n"),
        "upper": value.upper(), "lower": value.lower(), "comma": value.replace(", ", " "),
    }[chosen]  # fmt: skip


_WRITERS: dict[str, Callable[[Person, str, str | None, random.Random], str]] = {
    "phone": _write_phone,
    "card": _write_grouped,
    "iban": _write_grouped,
    "account": _write_plain,
    "routing": _write_number,
    "national": _write_number,
    "passport": _write_plain,
    "license": _write_plain,
    "email": _write_email,
    "dob": _write_birth,
    "address": _write_address,
    "otp": _write_plain,
    "pin": _write_plain,
    "customer_id": _write_plain,
}
