"""Pages of a document: words with boxes in, masked text out, and where on the page each value stands.

Knows no file format: whoever reads a file brings its words in reading order. Nothing is stored unless every page can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.errors import InvalidInput
from domain.origin import Origin
from masking.classes import PiiClass
from masking.input_text import require_text
from masking.masked_message import MaskedSpan
from masking.masker import Masker, MaskScope, TextToMask
from masking.text import MaskedText
from masking.vault import KnownValues

MAX_PAGES = 200
# A word whose top lies further down than this share of the line's height starts a new line.
_LINE_SHARE = 0.5


class DocumentTooLong(InvalidInput):
    """Say that a document has more pages than one call takes."""

    code = "document_too_long"


class UnusablePage(InvalidInput):
    """Say which page cannot be masked. The code is that of its text where the text is at fault."""

    code = "unusable_page"


@dataclass(frozen=True, slots=True)
class Box:
    """Hold a place on a page, in points from its upper left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class PageWord:
    """Hold one word as it was read, and where it stands."""

    text: str = field(repr=False)
    box: Box


@dataclass(frozen=True, slots=True)
class PageText:
    """Hold the words of a page in reading order. `page` counts as the document does."""

    page: int
    words: tuple[PageWord, ...]


@dataclass(frozen=True, slots=True)
class PageSpan:
    """Hold one value: its place in the page's text, its place in the masked text, and the boxes of the words that it touches."""

    start: int
    end: int
    masked_start: int
    masked_end: int
    token: str
    pii_class: PiiClass
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class MaskedPage:
    """Hold a page without its values."""

    page: int
    masked: MaskedText
    spans: tuple[PageSpan, ...]


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """A page as one text, and where each word of it begins and ends."""

    page: PageText
    text: str
    places: tuple[tuple[int, int], ...]


def mask_pages(
    masker: Masker,
    pages: Sequence[PageText],
    *,
    scope: MaskScope,
    document_id: str,
    known_values: KnownValues | None = None,
) -> tuple[MaskedPage, ...]:
    """Mask a document's pages in one transaction: all of them, or none. Every value's origin is the document.

    The written forms are kept under `<document_id>/<page>`, so that a page comes back as it was read. Idempotent.
    Raises: DocumentTooLong, UnusablePage, and what `Masker.mask_many` raises.
    """
    if len(pages) > MAX_PAGES:
        raise DocumentTooLong(f"the document has {len(pages)} pages, at most {MAX_PAGES} are read: split it")
    laid_out = [_lay_out(page) for page in pages]
    _require_distinct(pages)
    items = [TextToMask(one.text, scope, known_values, f"{document_id}/{one.page.page}") for one in laid_out]
    messages = masker.mask_many(items, tenant_id=scope.tenant_id, origin=Origin.DOCUMENT)
    return tuple(
        MaskedPage(one.page.page, message.masked, tuple(_place(one, span) for span in message.spans))
        for one, message in zip(laid_out, messages, strict=True)
    )


def page_text(page: PageText) -> str:
    """Return the words as one text: a space between two of a line, a line break where the next line begins.

    Raises: UnusablePage.
    """
    return _lay_out(page).text


def _lay_out(page: PageText) -> _LaidOut:
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    length, line = 0, None
    for number, word in enumerate(page.words, start=1):
        _require_box(page, number, word.box)
        if not word.text.strip():
            raise UnusablePage(f"page {page.page}, word {number}: the word is empty")
        if parts:
            parts.append("\n" if line is not None and _is_below(word.box, line) else " ")
            length += 1
        if line is None or parts[-1:] == ["\n"]:
            line = word.box
        parts.append(word.text)
        places.append((length, length + len(word.text)))
        length += len(word.text)
    text = "".join(parts)
    try:
        require_text(text)
    except InvalidInput as error:
        raise UnusablePage(f"page {page.page}: {error.message}", code=error.code) from None
    return _LaidOut(page, text, tuple(places))


def _require_box(page: PageText, number: int, box: Box) -> None:
    edges = (box.left, box.top, box.right, box.bottom)
    if box.page != page.page:
        raise UnusablePage(f"page {page.page}, word {number}: its box is on page {box.page}")
    if not all(math.isfinite(edge) for edge in edges) or box.right < box.left or box.bottom < box.top:
        raise UnusablePage(f"page {page.page}, word {number}: its box has no area that can be shown")


def _require_distinct(pages: Sequence[PageText]) -> None:
    seen: set[int] = set()
    for page in pages:
        if page.page in seen:
            raise UnusablePage(f"page {page.page} comes twice")
        seen.add(page.page)


def _is_below(box: Box, line: Box) -> bool:
    return abs(box.top - line.top) > _LINE_SHARE * max(line.bottom - line.top, box.bottom - box.top)


def _place(one: _LaidOut, span: MaskedSpan) -> PageSpan:
    boxes = tuple(
        word.box for word, (start, end) in zip(one.page.words, one.places, strict=True) if start < span.end and span.start < end
    )
    return PageSpan(span.start, span.end, span.masked_start, span.masked_end, span.token, span.pii_class, boxes)
