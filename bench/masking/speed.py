"""Processor time of masking a text of some 540 characters, and of stock Presidio on the same texts, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.masking.labels import LabelledText
from bench.masking.subjects import Product, Stock
from bench.report import Figure, percentile

_LENGTH = 540
_TEXTS = 60
_WARM = 5


def join_to_length(texts: Sequence[LabelledText], *, count: int = _TEXTS) -> list[LabelledText]:
    """Return texts of about 540 characters: short ones joined, with the record of the first, cut at a space."""
    joined: list[LabelledText] = []
    parts: list[str] = []
    first: LabelledText | None = None
    for text in texts:
        first = first or text
        parts.append(text.text)
        whole = "\n\n".join(parts)
        if len(whole) >= _LENGTH:
            cut = whole.rfind(" ", _LENGTH - 60, _LENGTH + 20)
            made = whole[: cut if cut > 0 else _LENGTH]
            joined.append(LabelledText(first.text_id, "joined", first.country, made, (), (), first.known))
            parts, first = [], None
        if len(joined) == count:
            break
    return joined


def measure_cpu(product: Product, stock: Stock | None, texts: Sequence[LabelledText]) -> list[Figure]:
    """Return the processor time of both. The record is the same customer's for many texts in life: it is made ready before."""
    ours: list[int] = []
    theirs: list[int] = []
    for number, text in enumerate(texts):
        product.find(".", text.known)
        took = _cpu_us(product, text)
        peer = _cpu_us(stock, text) if stock else 0
        if number >= _WARM:
            ours.append(took)
            theirs.append(peer)
    length = round(sum(len(text.text) for text in texts) / max(1, len(texts)))
    figures = [
        Figure(
            "cpu_vs_stock", round(sum(ours) / sum(theirs), 2) if stock and theirs else None, "x", must=0.75, reason="no stock"
        ),
        Figure("cpu_ms_p50", round(percentile(ours, 50) / 1000, 2), f"ms of {length} characters"),
        Figure("cpu_ms_p95", round(percentile(ours, 95) / 1000, 2), f"ms of {length} characters"),
    ]
    return [*figures, Figure("stock_cpu_ms_p50", round(percentile(theirs, 50) / 1000, 2), "ms")] if stock else figures


def _cpu_us(subject: Product | Stock, text: LabelledText) -> int:
    started = time.process_time_ns()
    subject.find(text.text, text.known)
    return (time.process_time_ns() - started) // 1000
