"""Pages as words with boxes: what is refused, and how words become one text. Masking itself is in the integration tests."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from masking.documents import MAX_PAGES, Box, DocumentTooLong, PageText, PageWord, UnusablePage, mask_pages, page_text
from masking.masker import Masker, MaskScope

SCOPE = MaskScope("t-one", None, "cus_one")


class NeverAsked:
    """A masker that must not be reached."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked")


def word(text: str, *, page: int = 1, left: float = 72, top: float = 72, height: float = 10) -> PageWord:
    return PageWord(text, Box(page, left, top, left + 5 * len(text), top + height))


def _refused(pages: list[PageText]) -> UnusablePage:
    with pytest.raises(UnusablePage) as raised:
        mask_pages(cast("Masker", NeverAsked()), pages, scope=SCOPE, document_id="doc_1")
    return raised.value


def test_words_of_a_line_are_parted_by_a_space_and_lines_by_a_break() -> None:
    words = (
        word("Passport", top=72),
        word("No.", top=74),
        word("C01X0006H", top=70.5),
        word("OKONKWO", top=90),
        word("Ade", top=88),
    )
    assert page_text(PageText(1, words)) == "Passport No. C01X0006H\nOKONKWO Ade"
    # A line that slants keeps together by its first word, and small print beside it is no new line.
    assert page_text(PageText(1, (word("a", top=100), word("b", top=103, height=4), word("c", top=94)))) == "a b\nc"
    assert page_text(PageText(1, ())) == ""


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((word(" "),), "unusable_page", "word 1"),
        ((word("a"), word("b", page=2)), "unusable_page", "word 2: its box is on page 2"),
        ((PageWord("a", Box(1, 9, 0, 8, 1)),), "unusable_page", "no area"),
        ((PageWord("a", Box(1, 0, 0, math.nan, 1)),), "unusable_page", "no area"),
        ((PageWord("a", Box(1, 0, 0, math.inf, 1)),), "unusable_page", "no area"),
        ((word("a\0b"),), "not_text", "page 1"),
        ((word("\ud800"),), "not_text", "page 1"),
        (tuple(word("x" * 50_000) for _ in range(3)), "text_too_long", "page 1"),
    ],
)
def test_a_page_that_cannot_be_masked_is_named_and_no_page_is_masked(words: tuple[PageWord, ...], code: str, says: str) -> None:
    error = _refused([PageText(2, (word("good", page=2),)), PageText(1, words)])
    assert error.code == code
    assert says in error.message


def test_a_page_that_comes_twice() -> None:
    assert "page 1 comes twice" in _refused([PageText(1, (word("a"),)), PageText(1, (word("b"),))]).message


def test_too_many_pages_are_refused_before_any_is_read() -> None:
    pages = [PageText(number, (word("\0", page=number),)) for number in range(MAX_PAGES + 1)]
    with pytest.raises(DocumentTooLong, match="201 pages, at most 200"):
        mask_pages(cast("Masker", NeverAsked()), pages, scope=SCOPE, document_id="doc_1")
