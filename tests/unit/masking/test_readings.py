"""A text is read again where a trick or a voice hides a value: every character of a reading leads back to its place."""

from __future__ import annotations

import pytest

from masking.readings import read_again


def _texts(text: str) -> dict[str, str]:
    return {reading.name: reading.text for reading in read_again(text)}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("card 4️⃣2️⃣4️⃣2️⃣ 4242", "card 4242 4242"),
        ("4242\u200b4242", "42424242"),
        ("４２４２ ٤٢٤٢ ४२४२", "4242 4242 4242"),
        ("\u202e4111\u202c 1111", "4111 1111"),
        ("Кowalska", "Kowalska"),
        ("M\u00adarta", "Marta"),
        ("J🔥o🔥h🔥n", "John"),
        ("4111\u20131111\u00a01111", "4111-1111 1111"),
    ],
)
def test_what_nobody_sees_goes_and_look_alikes_become_plain(text: str, clean: str) -> None:
    assert _texts(text)["clean"] == clean


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("it is four one one, double five triple two 42 four two", "it is 4115522242" + "42"),
        ("call zero seven nine one one", "call 07911"),
        ("zéro six douze trente-quatre cinquante-six soixante-dix-huit", "0612345678"),
        ("PIN vier zwei eins null", "PIN 4210"),
        ("it's M as in Mike, A as in Alpha, R-T-A", "it's MARTA"),
        ("passport November one two three four five six seven", "passport N1234567"),
        ("K-O-W-A-L-S-K-A", "KOWALSKA"),
        ("anna dot b at mail dot com", "anna.b@mail.com"),
        ("born on the twenty first of May nineteen eighty two", "born on the 21 May 1982"),
        ("born May fifth, two thousand and four", "born 5 May 2004"),
    ],
)
def test_what_was_said_is_put_into_characters(text: str, spoken: str) -> None:
    assert _texts(text)["spoken"] == spoken


@pytest.mark.parametrize(
    ("text", "scanned"),
    [
        ("GB29 NWBK 6O16 1331 9268 I9", "G829 NWBK 6016 1331 9268 19"),
        ("SM1TH paid", "SMITH paid"),
        ("4111 1111\n1111 1111", "4111 1111 1111 1111"),
        ("Kowal-\nska", "Kowalska"),
    ],
)
def test_a_scanner_s_mistakes_are_undone(text: str, scanned: str) -> None:
    assert _texts(text)["scanned"] == scanned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The payment of EUR 12.90 was declined, please try again.",
        "One or two things are still open; the third came on Friday.",
        "The card was declined at netflix.com twice.",
        "Größe und Überweisung, señor Núñez",
        "Twenty twenty four was a good year",
    ],
)
def test_most_texts_have_no_other_reading(text: str) -> None:
    assert read_again(text) == ()


def test_places_lead_back_to_whole_characters_of_the_text() -> None:
    text = "x 4️⃣2️⃣ y"
    (reading,) = read_again(text)
    at = reading.text.index("42")
    start, end = reading.span(at, at + 2)
    assert text[start:end] == "4️⃣2️⃣"
    said = "pin four two one zero now"
    (spoken,) = read_again(said)
    at = spoken.text.index("4210")
    start, end = spoken.span(at, at + 4)
    assert said[start:end] == "four two one zero"


def test_a_reading_of_a_reading_leads_back_to_the_text() -> None:
    text = "\u200bpin four\u200b two one zero"
    spoken = next(reading for reading in read_again(text) if reading.name == "spoken")
    at = spoken.text.index("4210")
    start, end = spoken.span(at, at + 4)
    assert text[start:end].replace("\u200b", "") == "four two one zero"


def test_only_the_changed_places_are_looked_at_again() -> None:
    text = "a" * 300 + " 4111 1111\n1111 1111 " + "b" * 300
    (reading,) = read_again(text)
    places = reading.list_changes(text, margin=20)
    assert places
    assert sum(end - start for start, end in places) < 250


@pytest.mark.parametrize("blank", [" ", "\n", "\t"])
def test_a_text_of_blanks_is_read_in_one_go(blank: str) -> None:
    assert read_again("x" + blank * 50_000 + "y") == ()
    assert read_again("a_" * 50_000) == ()


def test_what_is_written_after_a_comma_is_another_number() -> None:
    assert _texts("account one seven six, 12.50 euros")["spoken"] == "account 176, 12.50 euros"
