"""Tokens: the same value the same token, a damaged one seen without a look-up, forgiving where it costs nothing."""

from __future__ import annotations

import zlib

import pytest

from masking.classes import PiiClass, canonical_form
from masking.tokens import MAX_TOKEN_LENGTH, class_of_token, find_open_tail, find_tokens, mint_token

KEY = b"k" * 32
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _only(text: str) -> str | None:
    (match,) = find_tokens(text)
    return match.token


@pytest.mark.parametrize("pii_class", list(PiiClass))
def test_every_class_makes_tokens_that_are_found_and_fit(pii_class: PiiClass) -> None:
    token = mint_token(KEY, pii_class=pii_class, canonical="marta kowalska")
    assert _only(f"x{token}y") == token
    assert class_of_token(token) is pii_class
    assert len(token) < MAX_TOKEN_LENGTH


def test_token_depends_on_key_class_value_and_counter() -> None:
    tokens = {
        mint_token(key, pii_class=pii_class, canonical=value, counter=counter)
        for key in (KEY, b"j" * 32)
        for pii_class in (PiiClass.PERSON, PiiClass.EMAIL)
        for value in ("a", "b")
        for counter in (0, 1)
    }
    assert len(tokens) == 16


def test_classes_start_their_check_differently() -> None:
    assert len({zlib.crc32(pii_class.value.encode()) % 1021 for pii_class in PiiClass}) == len(PiiClass)


def test_any_one_changed_character_is_seen() -> None:
    token = mint_token(KEY, pii_class=PiiClass.PERSON, canonical="marta")
    body = token.index("_") + 1
    for place in [*range(body, body + 8), len(token) - 3, len(token) - 2]:
        for character in set(_ALPHABET) - {token[place]}:
            assert _only(token[:place] + character + token[place + 1 :]) is None


def test_two_swapped_neighbours_and_another_class_are_seen() -> None:
    token = mint_token(KEY, pii_class=PiiClass.PERSON, canonical="marta")
    body = token.index("_") + 1
    for place in range(body, body + 7):
        swapped = token[:place] + token[place + 1] + token[place] + token[place + 2 :]
        assert swapped == token or _only(swapped) is None
    assert _only(token.replace("PERSON", "EMAIL")) is None
    assert _only(token.replace("PERSON", "NOBODY")) is None


def test_case_hyphens_brackets_and_escapes_are_forgiven() -> None:
    token = mint_token(KEY, pii_class=PiiClass.NATIONAL_ID, canonical="1")
    for spelling in (
        token.lower(),
        token.upper(),
        token.replace("-", "‑"),
        token.replace("-", "–"),
        token.replace("_", r"\_"),
        token.replace("<", "‹").replace(">", "›"),
        token.replace("<", "< ").replace(">", " >"),
    ):
        assert _only(f"**{spelling}**") == token, spelling


def test_open_tail_is_short_and_only_what_could_become_a_token() -> None:
    token = mint_token(KEY, pii_class=PiiClass.NATIONAL_ID, canonical="1")
    for cut in range(1, len(token)):
        assert find_open_tail("ab" + token[:cut]) == 2
    assert find_open_tail("ab" + token) == 2 + len(token)
    assert find_open_tail("no bracket here") == 15
    long_text = "<" + "x" * 100
    assert len(long_text) - find_open_tail(long_text) < 32


@pytest.mark.parametrize(
    ("pii_class", "one", "other"),
    [
        (PiiClass.PERSON, "Marta  Kowalska", "MARTA KOWALSKA"),
        (PiiClass.CARD, "4000 0566 5566 5556", "4000-0566-5566-5556"),
        (PiiClass.IBAN, "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        (PiiClass.PHONE, "+44 (20) 7946-0958", "0044 20 7946 0958"),
        (PiiClass.BIRTH_DATE, "1987-3-4", "04.03.1987"),
        (PiiClass.EMAIL, "Marta@Example.com", "marta@example.com"),
        (PiiClass.IP, "2001:DB8::1", "2001:db8:0:0::1"),
    ],
)
def test_written_forms_of_one_value_have_one_canonical_form(pii_class: PiiClass, one: str, other: str) -> None:
    assert canonical_form(pii_class, one) == canonical_form(pii_class, other)
