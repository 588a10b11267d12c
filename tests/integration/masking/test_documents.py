"""Laid-out pages on the real detector and vault: values go, and every highlight still finds its place."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from masking.classes import PiiClass
from masking.documents import MAX_PAGES, Box, MaskedPage, PageText, PageWord, UnusablePage, mask_pages, page_text
from masking.vault import PiiItem
from tests.integration.masking.conftest import Boundary

PASSPORT = "REPUBLIC OF NOWHERE\nPassport No. C01X0006H\nSurname: OKONKWO\nGiven names: ADEBAYO CHIDI\nDate of birth: 04 MAR 1988"
STATEMENT = (
    "Statement of account\nAccount holder: Zeynep Öztürk\nIBAN DE89 3704 0044 0532 0130 00\n"
    "2026-03-04 Card payment Blue Bottle EUR 49.90\n2026-03-05 Transfer from GB29 NWBK 6016 1331 9268 19 EUR 618.00"
)
BILL = (
    "Northern Power\nBill for: Marta Kowalska\n12 Harbour Lane\nAmount due EUR 88.10\n"
    "Call 020 7946 0958 or write to help@example.org"
)


def lay_out(text: str, *, page: int, random: Random) -> PageText:
    """Set a text as a scan would be read: lines that lean, words of uneven width and height."""
    words: list[PageWord] = []
    for number, line in enumerate(text.split("\n")):
        left, base = random.uniform(40, 90), 60 + number * random.uniform(16, 20)
        for word in line.split():
            top, width = base + random.uniform(-2, 2), len(word) * random.uniform(4, 7)
            words.append(PageWord(word, Box(page, left, top, left + width, top + random.uniform(9, 12))))
            left += width + random.uniform(3, 12)
    return PageText(page, tuple(words))


def _pages(*texts: str) -> list[PageText]:
    random = Random(7)
    return [lay_out(text, page=number, random=random) for number, text in enumerate(texts, start=1)]


def _mask(boundary: Boundary, pages: list[PageText]) -> tuple[MaskedPage, ...]:
    return mask_pages(boundary.masker, pages, scope=boundary.scope, document_id="doc_1")


def _highlighted(page: PageText, boxes: tuple[Box, ...]) -> str:
    return " ".join(word.text for word in page.words if word.box in boxes)


def test_values_of_a_document_are_masked_and_facts_stay(boundary: Boundary) -> None:
    pages = _pages(PASSPORT, STATEMENT, BILL)
    masked = _mask(boundary, pages)
    assert [page.page for page in masked] == [1, 2, 3]
    text = "\n".join(page.masked.text for page in masked)
    for raw in (
        "C01X0006H",
        "OKONKWO",
        "ADEBAYO",
        "1988",
        "Zeynep",
        "Öztürk",
        "3704",
        "9268",
        "Kowalska",
        "Harbour",
        "7946",
        "help@",
    ):
        assert raw not in text, raw
    for fact in ("EUR 49.90", "EUR 618.00", "EUR 88.10", "2026-03-05"):
        assert fact in text, fact


def test_every_highlight_finds_its_words_and_its_token(boundary: Boundary) -> None:
    pages = _pages(PASSPORT, STATEMENT, BILL)
    for page, masked in zip(pages, _mask(boundary, pages), strict=True):
        original = page_text(page)
        assert masked.spans
        for span in masked.spans:
            surface = original[span.start : span.end]
            assert masked.masked.text[span.masked_start : span.masked_end] == span.token
            assert surface.replace("\n", " ") in _highlighted(page, span.boxes)
            assert all(box.page == page.page for box in span.boxes)
            # No box too many: each of its words is touched.
            assert len(span.boxes) == len(surface.split())
        assert boundary.read(masked.masked, f"doc_1/{page.page}") == original


def test_a_value_over_two_lines_has_boxes_on_both(boundary: Boundary) -> None:
    (page,) = _pages("Pay with card 4000 0566\n5566 5556 by Friday")
    (masked,) = _mask(boundary, [page])
    (span,) = [one for one in masked.spans if one.pii_class is PiiClass.CARD]
    assert len({box.top // 10 for box in span.boxes}) >= 2
    assert _highlighted(page, span.boxes) == "4000 0566 5566 5556"


def test_the_origin_of_a_document_stays_until_staff_write_the_same(boundary: Boundary) -> None:
    def origins() -> Iterator[str]:
        with boundary.transact(boundary.tenant_id) as conn:
            yield from (row[0] for row in conn.execute("SELECT origin FROM vault.pii_grants WHERE token LIKE '<IBAN%'"))

    _mask(boundary, _pages("IBAN DE89 3704 0044 0532 0130 00"))
    assert list(origins()) == ["document"]
    boundary.masker.mask_message("> use DE89 3704 0044 0532 0130 00", scope=boundary.scope)
    assert list(origins()) == ["customer_text"]
    boundary.masker.mask_message("DE89 3704 0044 0532 0130 00 is right", scope=boundary.scope)
    assert list(origins()) == ["staff"]
    _mask(boundary, _pages("IBAN DE89 3704 0044 0532 0130 00"))
    assert list(origins()) == ["staff"]


def test_what_the_record_knows_keeps_its_token_in_a_document(boundary: Boundary) -> None:
    with boundary.transact(boundary.tenant_id) as conn:
        (token,) = boundary.vault.tokenize_many(
            conn, [PiiItem(PiiClass.PERSON, "Marta Kowalska", "cus_one")], tenant_id=boundary.tenant_id
        )
    known = boundary.masker.open_conversation(boundary.scope, actor="edge")
    (masked,) = mask_pages(
        boundary.masker, _pages("KOWALSKA MARTA"), scope=boundary.scope, document_id="doc_1", known_values=known
    )
    assert masked.masked.text == token


def test_two_hundred_pages_pass_and_one_bad_page_stores_nothing(boundary: Boundary) -> None:
    texts = [f"Page {number} of account DE89 3704 0044 0532 0130 00" for number in range(MAX_PAGES)]
    pages = _pages(*texts)
    bad = PageText(MAX_PAGES, (*pages[-1].words, PageWord("\0", Box(MAX_PAGES, 1, 1, 2, 2))))
    with pytest.raises(UnusablePage, match=f"page {MAX_PAGES}"):
        _mask(boundary, [*pages[:-1], bad])
    with boundary.transact(boundary.tenant_id) as conn:
        assert conn.execute("SELECT count(*) FROM vault.tokens").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM vault.surfaces").fetchone() == (0,)
    masked = _mask(boundary, pages)
    assert len(masked) == MAX_PAGES
    assert len({page.masked.tokens for page in masked}) == 1
    with boundary.transact(boundary.tenant_id) as conn:
        assert conn.execute("SELECT count(*) FROM vault.surfaces").fetchone() == (MAX_PAGES,)
