"""Several finders, one answer: who wins, what is cut, what is looked for again. No model in here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from masking.arbitration import Candidate, Places, arbitrate, join_names, without_shared_parts
from masking.classes import PiiClass
from masking.detection import ClassWithoutRecognizer, Detection, Detector
from masking.recognizers import (
    NamesRecognizer,
    PatternsRecognizer,
    SaidRecognizer,
    TextRecognizer,
    TokenShapeRecognizer,
    list_uncovered,
)
from masking.vault import KnownValue, KnownValues

_MARTA = KnownValues("cus_1", "v1", (KnownValue(PiiClass.PERSON, "Marta Kowalska", "<PERSON_aaaaaaaa-bb>"),))


class _Guesses(TextRecognizer):
    """Stand for the model: guess what it is told, wherever it stands."""

    def __init__(self, *guesses: tuple[PiiClass, str]) -> None:
        super().__init__(supported_entities=[pii_class.value for pii_class in PiiClass], name="guesses")
        self._guesses = guesses

    def find(self, text: str) -> Iterator[Candidate]:
        for pii_class, surface in self._guesses:
            at = text.find(surface)
            if at >= 0:
                yield Candidate(at, at + len(surface), pii_class, 0.5, "model")


def _detector(*guesses: tuple[PiiClass, str]) -> Detector:
    return Detector(
        [TokenShapeRecognizer(), PatternsRecognizer(("GB",)), NamesRecognizer(), SaidRecognizer(), _Guesses(*guesses)]
    )


def _found(text: str, detections: tuple[Detection, ...]) -> list[tuple[str, str, str]]:
    return [(one.pii_class.value, one.source, text[one.start : one.end]) for one in detections]


def test_a_class_that_nothing_finds_stops_the_start() -> None:
    with pytest.raises(ClassWithoutRecognizer, match="PERSON"):
        Detector([TokenShapeRecognizer(), PatternsRecognizer(("GB",))])
    assert PiiClass.OTHER not in list_uncovered([])
    assert PiiClass.WALLET in list_uncovered([])


def test_a_guess_is_cut_where_an_amount_stands_and_a_checked_value_is_not() -> None:
    text = "paid Marta Quell EUR 12.90 from 4111 1111 1111 1111"
    detections = _detector((PiiClass.PERSON, "Marta Quell EUR 12.90")).detect(text)
    assert _found(text, detections) == [("PERSON", "pattern", "Marta Quell"), ("CARD", "pattern", "4111 1111 1111 1111")]


def test_known_values_win_and_bring_their_token() -> None:
    text = "Marta Kowalska called"
    (one,) = _detector((PiiClass.ADDRESS, "Kowalska called")).detect(text, known_values=_MARTA)
    assert (one.source, one.token, text[one.start : one.end]) == ("known", "<PERSON_aaaaaaaa-bb>", "Marta Kowalska")


def test_a_shared_first_name_in_another_person_s_name_is_not_the_customer() -> None:
    text = "it was for Marta Jones today"
    detections = _detector((PiiClass.PERSON, "Marta Jones")).detect(text, known_values=_MARTA)
    assert [(text[one.start : one.end], one.token) for one in detections] == [("Marta Jones", None)]


def test_a_name_found_once_is_found_at_its_other_places() -> None:
    text = "Beneficiary: Zarquelle Vantreight. Later Vantreight wrote, and ZARQUELLE too."
    found = [surface for _, _, surface in _found(text, _detector().detect(text))]
    assert found == ["Zarquelle Vantreight", "Vantreight", "ZARQUELLE"]


def test_values_are_found_through_other_readings_at_their_places_in_the_text() -> None:
    text = "card ４２４２ 4242\u200b 4242 ٤٢٤٢, mail anna dot b at mail dot com"
    found = _found(text, _detector().detect(text))
    assert ("CARD", "pattern", "４２４２ 4242\u200b 4242 ٤٢٤٢") in found
    assert ("EMAIL", "pattern", "anna dot b at mail dot com") in found


def test_a_known_card_is_found_when_it_is_spoken() -> None:
    known = KnownValues("cus_1", "v1", (KnownValue(PiiClass.CARD, "4242424242424242", "<CARD_aaaaaaaa-bb>"),))
    text = "it is four two four two, four two four two, double four... no, four two four two four two four two"
    said = "four two four two four two four two four two four two four two four two"
    (one,) = _detector().detect(said, known_values=known)
    assert (one.token, one.start, one.end) == ("<CARD_aaaaaaaa-bb>", 0, len(said))
    assert _detector().detect(text)


def test_the_last_four_digits_of_a_card_stay_when_they_are_said() -> None:
    assert _detector().detect("the card ending in four two four two is blocked") == ()


def test_what_is_kept_is_left_alone() -> None:
    text = "<PERSON_7f3a9k2m-q4> Marta Kowalska"
    assert _detector().detect(text, known_values=_MARTA, keep=[(0, len(text))]) == ()


def test_merchants_of_the_tenant_are_no_people() -> None:
    text = "charged by Quorvex Zandt again"
    guesses = _detector((PiiClass.PERSON, "Quorvex Zandt"))
    assert guesses.detect(text) != ()
    assert guesses.detect(text, merchants=("Quorvex Zandt",)) == ()


def test_a_shop_that_another_script_follows_is_no_person() -> None:
    text = "RyanairのJPY 16,524について"
    assert _detector((PiiClass.PERSON, "RyanairのJPY")).detect(text) == ()


def test_detections_are_in_order_and_never_overlap() -> None:
    text = "Marta Quell, 4111 1111 1111 1111, marta.quell@mail.example, GB29 NWBK 6016 1331 9268 19" * 5
    detections = _detector((PiiClass.ADDRESS, "Quell, 4111 1111")).detect(text, known_values=_MARTA)
    assert all(left.end <= right.start for left, right in pairwise(detections))


def _candidate(start: int, end: int, score: float, pii_class: PiiClass = PiiClass.PERSON) -> Candidate:
    return Candidate(start, end, pii_class, score, "model")


def test_the_surest_wins_then_the_longest_and_the_rest_of_a_loser_is_kept() -> None:
    text = "aaaa bbbb cccc"
    winners = arbitrate([_candidate(0, 9, 0.5), _candidate(5, 14, 0.7), _candidate(5, 9, 0.7)], text, is_worth_it=lambda *_: True)
    assert [(one.start, one.end) for one in winners] == [(0, 4), (5, 14)]


def test_overlapping_guesses_at_a_name_are_one_person() -> None:
    joined = join_names([_candidate(0, 9, 0.5), _candidate(5, 14, 0.7), _candidate(20, 24, 0.7, PiiClass.ADDRESS)])
    assert sorted((one.start, one.end) for one in joined) == [(0, 14), (20, 24)]


def test_a_known_part_stays_where_no_longer_name_stands() -> None:
    part = Candidate(0, 5, PiiClass.PERSON, 0.97, "known", "<PERSON_aaaaaaaa-bb>", is_part=True)
    assert without_shared_parts([part, _candidate(6, 20, 0.5)]) == [part, _candidate(6, 20, 0.5)]
    assert without_shared_parts([part, _candidate(0, 20, 0.5)]) == [_candidate(0, 20, 0.5)]


def test_places_tell_what_they_leave() -> None:
    places = Places([(5, 8), (7, 10), (20, 21), (3, 3)])
    assert list(places) == [(5, 10), (20, 21)]
    assert list(places.rest_of(0, 25)) == [(0, 5), (10, 20), (21, 25)]
    assert list(places.rest_of(5, 10)) == []
    assert places.touches(9, 12)
    assert not places.touches(10, 20)
    assert places.holds(6, 9)
    assert not places.holds(4, 9)
