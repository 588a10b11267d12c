"""Labelled texts out of templates. The same seed gives the same texts; the parts share no template and no list.

A template: a heading `@@ genre [countries] [flags]`, then its text. In it
`‹one|other›` is a choice, `«me.card»` a value of the customer, `«a.name/initial»` one of a third party in a given form,
`«=amount»` a fact that must survive, `«!Visa»` that fact word for word, `«~me.national»` what people there call the number and
`«~traceid»` something that counts for nothing. Flags change the whole text: `upper`, `lower`, `ocr`, `narrow` (broken lines) and
`tricks` (invisible characters, look-alikes, emoji between digits).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bench.masking.countries import COUNTRIES
from bench.masking.facts import write_fact
from bench.masking.labels import FactLabel, LabelledText, Part, Piece, ValueLabel, join_pieces
from bench.masking.people import CLASS_OF, Person, invent_person
from bench.masking.shown import write_value

_CHOICE = re.compile(r"‹([^‹›]*)›")
_SLOT = re.compile(r"«([^«»]+)»")
_FLAGS = frozenset({"upper", "lower", "ocr", "narrow", "tricks"})
_SAME_COUNTRY_PERCENT = 60
# Groups of one country come often enough to be measured.
_EVERYWHERE = (*COUNTRIES, "US", "US", "UK", "IN", "IN", "IN", "IN", "JP", "JP", "NG")
_LOOK_ALIKES = {
    "a": "\u0430", "e": "\u0435", "o": "\u043e", "p": "\u0440", "c": "\u0441", "x": "\u0445", "A": "\u0410", "B": "\u0412",
    "E": "\u0415", "K": "\u041a", "M": "\u041c", "H": "\u041d", "O": "\u041e", "T": "\u0422",
}  # fmt: skip
_OCR_SWAPS = {"0": "O", "O": "0", "1": "l", "l": "1", "5": "S", "8": "B", "I": "l"}


@dataclass(frozen=True, slots=True)
class Template:
    """Hold a template: what it is, where it can play, and what happens to the whole text."""

    genre: str
    countries: tuple[str, ...]
    flags: frozenset[str]
    body: str


@cache
def read_templates(part: Part) -> tuple[Template, ...]:
    """Return the templates of a part, in the order of their files."""
    folder = Path(__file__).parent / "templates" / part
    return tuple(template for file in sorted(folder.glob("*.txt")) for template in _parse(file.read_text(encoding="utf-8")))


def _parse(text: str) -> Iterator[Template]:
    for block in re.split(r"^@@ ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = block.partition("\n")
        genre, *words = heading.split()
        countries = tuple(code for word in words if word not in _FLAGS for code in word.split(","))
        yield Template(genre, countries or _EVERYWHERE, _FLAGS & frozenset(words), body.strip("\n"))


def generate_texts(part: Part, count: int, *, seed: int = 1) -> list[LabelledText]:
    """Return labelled texts: each template in its turn, shuffled, so that a sample holds every genre."""
    order = random.Random(f"{seed}-{part}-order")
    templates = list(read_templates(part))
    texts: list[LabelledText] = []
    while len(texts) < count:
        order.shuffle(templates)
        for template in templates[: count - len(texts)]:
            number = len(texts)
            texts.append(_make_text(template, part, random.Random(f"{seed}-{part}-{number}"), text_id=f"{part}-{number:04d}"))
    return texts


def _make_text(template: Template, part: Part, rng: random.Random, *, text_id: str) -> LabelledText:
    body = template.body
    while (choice := _CHOICE.search(body)) is not None:
        body = body[: choice.start()] + rng.choice(choice[1].split("|")) + body[choice.end() :]
    cast = _cast_people(body, template, part, rng)
    pieces = [_fill_piece(piece, cast, part, rng) for piece in _split(body)]
    pieces = _apply_flags(pieces, template.flags, rng)
    text, values, facts = join_pieces(pieces)
    return LabelledText(text_id, template.genre, cast["me"].code, text, values, facts, cast["me"].record())


def _split(body: str) -> Iterator[str]:
    end = 0
    for slot in _SLOT.finditer(body):
        yield body[end : slot.start()]
        yield slot[0]
        end = slot.end()
    yield body[end:]


def _cast_people(body: str, template: Template, part: Part, rng: random.Random) -> dict[str, Person]:
    """Return people by their role in the template, each of a country that has all that the template asks of them."""
    needs: dict[str, set[str]] = {"me": set()}
    for slot in _SLOT.finditer(body):
        role, dot, rest = slot[1].lstrip("~").partition(".")
        if dot and slot[1][0] not in "=!":
            needs.setdefault(role, set()).add(rest.partition("/")[0])
    me = _cast_one(needs.pop("me"), template.countries, part, rng)
    same = [me.code] if rng.randrange(100) < _SAME_COUNTRY_PERCENT else list(_EVERYWHERE)
    return {"me": me} | {role: _cast_one(kinds, (*same, *COUNTRIES), part, rng, first=len(same)) for role, kinds in needs.items()}


def _cast_one(kinds: set[str], countries: tuple[str, ...], part: Part, rng: random.Random, *, first: int = 0) -> Person:
    for attempt in range(200):
        person = invent_person(part, rng.choice(countries[:first] if first and attempt < 5 else countries), rng)
        if all(person.has(kind) for kind in kinds):
            return person
    raise ValueError(f"no country of {', '.join(countries)} has {', '.join(sorted(kinds))}")


def _fill_piece(piece: str, cast: dict[str, Person], part: Part, rng: random.Random) -> Piece:
    slot = _SLOT.fullmatch(piece)
    if slot is None:
        return Piece(piece)
    mark, rest = slot[1][0], slot[1][1:]
    country = cast["me"].country
    if mark == "!":
        return Piece(rest, FactLabel("literal"))
    if mark == "=":
        return Piece(write_fact(rest, part=part, country=country, rng=rng), FactLabel(rest))
    if mark == "~":
        role, dot, kind = rest.partition(".")
        return Piece(_term(cast[role], kind) if dot else write_fact(rest, part=part, country=country, rng=rng))
    role, _, kind = slot[1].partition(".")
    kind, _, form = kind.partition("/")
    person = cast[role]
    group = "native_script" if kind == "native" else person.group
    owner = ValueLabel(CLASS_OF[kind], kind, "customer" if role == "me" else "third_party", group)
    return Piece(write_value(person, kind, form or None, rng), owner)


def _term(person: Person, kind: str) -> str:
    if kind == "code":
        return person.code
    person.value(kind)
    return person.terms.get(kind, "account number" if kind == "account" else kind)


def _apply_flags(pieces: list[Piece], flags: frozenset[str], rng: random.Random) -> list[Piece]:
    if "upper" in flags:
        pieces = [replace(piece, text=piece.text.upper()) for piece in pieces]
    if "lower" in flags:
        pieces = [replace(piece, text=piece.text.lower()) for piece in pieces]
    if "ocr" in flags:
        pieces = [replace(piece, text=_misread(piece, rng)) for piece in pieces]
    if "tricks" in flags:
        pieces = [_disguise(piece, rng) for piece in pieces]
    if "narrow" in flags:
        pieces = _break_lines(pieces)
    return pieces


def _misread(piece: Piece, rng: random.Random) -> str:
    """Return the piece as a scanner read it: some letters and digits swapped, some spaces too many. Facts stay as they are."""
    if isinstance(piece.label, FactLabel):
        return piece.text
    percent = 3 if piece.label is None else 2
    made = []
    for one in piece.text:
        roll = rng.randrange(100)
        made.append(_OCR_SWAPS[one] if roll < percent and one in _OCR_SWAPS else one)
        if roll >= 99 and one.isalnum():
            made.append(" ")
    return "".join(made).strip(" ") if piece.label else "".join(made)


def _disguise(piece: Piece, rng: random.Random) -> Piece:
    """Return a value as somebody writes it who wants it to pass, or whose keyboard does: it reads the same to a person."""
    if not isinstance(piece.label, ValueLabel):
        return piece
    text = piece.text
    trick = rng.choice(("zero width", "wide", "emoji", "look alike", "no break", "none"))
    if trick == "zero width":
        text = "".join(one + rng.choice(("", "", "\u200b", "\u2060", "\u00ad")) for one in text[:-1]) + text[-1]
    elif trick == "wide":
        text = "".join(chr(ord(one) + 0xFEE0) if one.isascii() and one.isdigit() else one for one in text)
    elif trick == "emoji":
        text = re.sub(r"(?<=\d{4})(?=\d)", rng.choice(("\u2b50", "\U0001f642", "\u27a1\ufe0f")), text, count=2)
    elif trick == "look alike":
        text = "".join(_LOOK_ALIKES.get(one, one) if rng.randrange(3) == 0 else one for one in text)
    elif trick == "no break":
        text = text.replace(" ", "\u00a0").replace("-", "\u2011")
    return replace(piece, text=text)


def _break_lines(pieces: list[Piece], width: int = 46) -> list[Piece]:
    """Break the text at spaces, inside values too, as a narrow column does."""
    column = 0
    broken = []
    for piece in pieces:
        made = []
        for one in piece.text:
            at_edge = one == " " and column >= width
            column = 0 if at_edge or one == "\n" else column + 1
            made.append("\n" if at_edge else one)
        broken.append(replace(piece, text="".join(made)))
    return broken
