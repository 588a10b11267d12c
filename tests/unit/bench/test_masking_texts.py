"""The masking bench's texts: the same again from the same seed, labelled where they say, and two parts that share nothing."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from bench.masking.generator import generate_texts, read_templates
from bench.masking.labels import FactLabel, Part, ValueLabel
from bench.masking.people import read_lists
from masking.classes import RECORD_ONLY, PiiClass

PARTS: tuple[Part, Part] = ("dev", "test")
OWN = frozenset({"given", "family", "streets", "cities", "native"})
GENRES = {
    "chat", "email", "letter", "call", "voicemail", "log", "form", "statement", "json", "xml", "ocr", "note", "sms", "mainframe",
    "multi_turn", "tricks", "clean",
}  # fmt: skip
GROUPS = {"anglo", "eu", "latam", "south_asia", "sea", "east_asia", "africa", "mena", "native_script"}
# A city state has one town.
SHARED = {"Singapore"}


def test_the_same_seed_makes_the_same_texts_and_another_seed_others() -> None:
    assert generate_texts("test", 120) == generate_texts("test", 120)
    assert generate_texts("test", 120) == generate_texts("test", 240)[:120]
    mine, other = generate_texts("test", 120), generate_texts("test", 120, seed=2)
    assert sum(one.text == two.text for one, two in zip(mine, other, strict=True)) < 5


@pytest.mark.parametrize("part", PARTS)
def test_every_class_genre_and_group_is_there_and_every_label_stands_on_its_value(part: Part) -> None:
    texts = generate_texts(part, 1_000)
    assert {text.genre for text in texts} == GENRES
    labels = [span.label for text in texts for span in text.values if isinstance(span.label, ValueLabel)]
    assert {label.pii_class for label in labels} == set(PiiClass) - RECORD_ONLY - {PiiClass.LITERAL}
    assert {label.owner for label in labels} == {"customer", "third_party"}
    assert {label.group for label in labels} == GROUPS
    for text in texts:
        spans = sorted((*text.values, *text.facts), key=lambda span: span.start)
        assert all(one.end <= two.start for one, two in pairwise(spans)), text.text
        for span in spans:
            shown = text.text[span.start : span.end]
            assert shown.strip() == shown, (shown, text.text)
            assert any(one.isalnum() for one in shown)
        assert bool(text.values) != (text.genre == "clean"), text.text
        assert not set("«»‹›") & set(text.text)


def test_facts_are_labelled_and_no_value_of_the_record_stands_unlabelled() -> None:
    for part in PARTS:
        for text in generate_texts(part, 600):
            assert all(isinstance(fact.label, FactLabel) for fact in text.facts)
            bare = _without_values(text.text, [(span.start, span.end) for span in text.values])
            for pii_class, value in text.known:
                assert value not in bare, (pii_class, value, text.text)


def test_the_record_has_the_registered_forms_of_what_the_customer_writes() -> None:
    written = 0
    for text in generate_texts("dev", 400):
        known = {pii_class: {_fold(value) for one, value in text.known if one is pii_class} for pii_class, _ in text.known}
        for span in text.values:
            label = span.label
            assert isinstance(label, ValueLabel)
            if (
                label.owner == "customer"
                and label.kind in ("card", "iban", "account")
                and text.genre not in ("call", "ocr", "tricks")
            ):
                written += 1
                assert _fold(text.text[span.start : span.end]) in known[label.pii_class]
    assert written > 80


def test_the_parts_share_no_name_no_street_and_no_employer() -> None:
    dev, test = (_entries(part) for part in PARTS)
    assert dev & test == SHARED


def test_the_parts_share_no_sentence() -> None:
    dev, test = (_frames(part) for part in PARTS)
    assert dev & test == set()


def _entries(part: Part) -> set[str]:
    entries: set[str] = set()
    for entry in read_lists(part).values():
        entries.update(entry if isinstance(entry, list) else (one for name in OWN & entry.keys() for one in entry[name]))

    return entries - {"gmail.com", "yahoo.com", "outlook.com"}


def _frames(part: Part) -> set[tuple[str, ...]]:
    """Return every run of five words that stands between slots."""
    frames: set[tuple[str, ...]] = set()
    for template in read_templates(part):
        for plain in re.split(r"«[^»]*»|[‹›|]", template.body):
            words = re.findall(r"[^\W\d_]+", plain.casefold())
            frames.update(tuple(words[at : at + 5]) for at in range(len(words) - 4))
    return frames


def _without_values(text: str, places: list[tuple[int, int]]) -> str:
    for start, end in reversed(places):
        text = f"{text[:start]}\n\n{text[end:]}"
    return text


def _fold(value: str) -> str:
    return "".join(one for one in value if one.isalnum()).casefold()
