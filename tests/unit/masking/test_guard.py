"""The last look before a text leaves: exact, and silent about what it found. Invented and published test values only."""

from __future__ import annotations

import pytest

from masking.classes import PiiClass
from masking.guard import LeakBlocked, LeakHit, Surface, check_outgoing, find_leaks, place_of
from masking.number_index import NumberIndex, build_index, list_candidates
from masking.number_prints import fold_number, hash_form, is_telling

KEY = b"k" * 32


def _index(*forms: str) -> NumberIndex:
    prints = b"".join(hash_form(KEY, form).to_bytes(8, "big") for form in forms)
    return build_index("t-1", KEY, [(PiiClass.ACCOUNT.value, prints)])


@pytest.mark.parametrize(
    ("text", "pii_class"),
    [
        ("card 4242 4242 4242 4242 here", PiiClass.CARD),
        ("to DE89 3704 0044 0532 0130 00 please", PiiClass.IBAN),
        ("mail anna.b@mail.example", PiiClass.EMAIL),
        ("call +48 601 234 567", PiiClass.PHONE),
    ],
)
def test_a_value_with_check_digits_needs_nobody_to_know_it(text: str, pii_class: PiiClass) -> None:
    assert pii_class in {hit.pii_class for hit in find_leaks(text)}
    with pytest.raises(LeakBlocked) as caught:
        check_outgoing(text, surface=Surface.WEBHOOK)
    assert (caught.value.surface, caught.value.place) == (Surface.WEBHOOK, caught.value.place)
    for word in text.split():
        assert not any(character.isdigit() for character in word) or word not in str(caught.value)


def test_tokens_ids_amounts_and_public_values_pass() -> None:
    index = _index("7304418829")
    check_outgoing("<CARD_7f3a9k2m-q4> paid EUR 49.90 on 2026-03-04 (T1, txn_5f2c81a09b44).", index=index)
    check_outgoing("Write to help@bank.example.", public=("Help@bank.example",), index=index)
    with pytest.raises(LeakBlocked):
        check_outgoing("Write to me@bank.example.", public=("Help@bank.example",))


def test_numbers_are_read_in_groups_and_glued_and_nowhere_else() -> None:
    index = _index("7304418829")
    for text in ("7304418829", "730-441-8829", "x7304418829y", "(73) 0441 8829"):
        assert [hit.pii_class for hit in find_leaks(f"a {text} b", index=index)], text
    for text in ("730441\n8829", "7304_4188_29", "73\u200b0441\u00ad8829", "７３０４４１８８２９", "7304,4188,29"):
        assert find_leaks(f"a {text} b", index=index), text
    for text in ("73044188290", "17304418829", "730441882", "7304 418 : 829"):
        assert not find_leaks(f"a {text} b", index=index), text
    (hit,) = find_leaks("a 730-441-8829 b", index=index)
    assert hit == LeakHit(2, 14, PiiClass.ACCOUNT)


def test_an_incidents_place_gives_no_value_away() -> None:
    index = _index("7304418829")
    assert place_of("4242424242424242", index) == place_of("4242424242424242", index) != place_of("4242424242424241", index)
    assert place_of("4242424242424242", index) != place_of("4242424242424242", build_index("t", b"x" * 32, []))
    assert place_of("4242424242424242", None) != place_of("4242424242424242", None)


@pytest.mark.parametrize(
    "card",
    [
        "4242_4242_4242_4242", "4242\n4242\n4242\n4242", "4242,4242,4242,4242", "4242\u200b4242\u200b4242\u200b4242",
        "\uff14\uff12\uff14\uff12 4242 4242 4242", "4242\u00ad4242\u00ad4242\u00ad4242",
    ],
)  # fmt: skip
def test_a_card_taken_apart_is_a_card(card: str) -> None:
    text = f"card {card} please"
    places = [(hit.start, hit.end) for hit in find_leaks(text) if hit.pii_class is PiiClass.CARD]
    assert (5, 5 + len(card)) in places


def test_columns_of_numbers_are_no_card() -> None:
    assert not find_leaks("id,booked,amount\n424242,20260304,424242\n4242,4242,42\n424242,42,4242")


def test_short_numbers_tell_nothing() -> None:
    assert not is_telling("1234567")
    assert not is_telling("00000000")
    assert is_telling("12345678")
    assert is_telling("AB1234")
    assert not is_telling("ABCDE1")
    index = _index("12345678")
    assert find_leaks("ref 12345678.", index=index)
    assert not find_leaks("12 345 678 and 1234-5678", index=index)


def test_prints_are_keyed_and_the_same_form_has_the_same_print() -> None:
    assert hash_form(KEY, fold_number("gb29 nwbk-6016")) == hash_form(KEY, "GB29NWBK6016")
    assert hash_form(b"x" * 32, "GB29NWBK6016") != hash_form(KEY, "GB29NWBK6016")


def test_an_index_of_nothing_finds_nothing() -> None:
    empty = build_index("t-1", KEY, [])
    assert list(empty.find("4242 4242 4242 4242")) == []
    assert empty.version != _index("7304418829").version


@pytest.mark.parametrize("piece", ["1 ", "1a1 ", "a1", "1", "-1", "1.1/", "1@", "1 ab ", "<", "(1)"])
def test_ten_times_the_text_is_at_most_ten_times_the_work(piece: str) -> None:
    short, long = (sum(1 for _ in list_candidates((piece * length)[:length])) for length in (2_000, 20_000))
    assert long <= 11 * short + 50
