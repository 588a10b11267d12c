"""How much does masking miss, what does it destroy, and what does it cost, beside stock Presidio in the same run?

Needs the name model (set-up), no running service; the way back is measured on a server in a folder of its own. Options:
--part dev|test, --texts N (2,000), --seed N, --errors FILE (dev only: each leaked value and lost fact with its text, JSON lines),
--no-stock, --no-vault, --presidio-research DIR, --banking77 FILE and --nlupp DIR (texts of others, not ours), --json.
Fails when something that must never happen did: a text that comes back otherwise, a forged token restored.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.masking.figures import describe_stock, list_figures, list_general, list_questions, list_stock, list_utterances
from bench.masking.generator import generate_texts
from bench.masking.independent import TextsUnreadable, read_banking77, read_nlupp, read_presidio_research
from bench.masking.labels import LabelledText
from bench.masking.live_vault import measure_vault
from bench.masking.scoring import Score, score_text
from bench.masking.speed import join_to_length, measure_cpu
from bench.masking.subjects import Product, Stock, StockMissing, Subject
from bench.peer.server import start_server
from bench.report import Figure, print_report

_MAX_TEXTS = 20_000
_ROUND_TRIPS = 400


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when something that must never happen did, or a file could not be read."""
    options = _read_options(arguments)
    try:
        independent = _read_independent(options)
        stock = Stock() if options.stock else None
    except (TextsUnreadable, StockMissing) as error:
        sys.stderr.write(f"bench masking: {error}\n")
        return 1
    texts = generate_texts(options.part, options.texts, seed=options.seed)
    figures, peers = _measure_masking(texts, independent, stock, options)
    broken: list[str] = []
    if options.vault:
        with start_server() as server:
            made, broken = measure_vault(server, texts[:_ROUND_TRIPS], seed=options.seed)
        figures += made
    print_report(
        "masking",
        figures,
        as_json=options.json,
        peers=peers,
        part=options.part,
        texts=len(texts),
        seed=options.seed,
        broken=broken,
    )
    never = [figure for figure in figures if figure.must == 0 and figure.value]
    for figure in never:
        sys.stderr.write(f"bench masking: {figure.name} is {figure.value}, it must be 0: {', '.join(broken[:5])}\n")
    return 1 if never else 0


def _measure_masking(
    texts: Sequence[LabelledText],
    independent: dict[str, list[LabelledText]],
    stock: Stock | None,
    options: argparse.Namespace,
) -> tuple[list[Figure], list[object]]:
    product = Product()
    with_record = score_all(product, texts, with_record=True)
    without = score_all(product, texts, with_record=False)
    if options.errors is not None:
        _write_errors(options.errors, with_record, without)
    figures = list_figures(with_record, without)
    figures.append(Figure("spans_wrong", product.spans_wrong, "texts whose spans do not explain what was written", must=0))
    figures.append(Figure("texts_refused", product.refused, "texts that masking refused, and so withheld", must=0))
    listed = {"general": list_general, "banking77": list_questions, "nlupp": list_utterances}
    for name, others in independent.items():
        figures += listed[name](score_all(product, others, with_record=False))
    figures += measure_cpu(product, stock, join_to_length(texts))
    if stock is None:
        return figures, []
    peer = score_all(stock, texts, with_record=False)
    figures += list_stock(peer)
    for name, others in independent.items():
        figures += [_renamed(figure) for figure in listed[name](score_all(stock, others, with_record=False))]
    return figures, [describe_stock(peer)]


def score_all(subject: Subject, texts: Sequence[LabelledText], *, with_record: bool) -> Score:
    """Return what a subject made of the texts."""
    score = Score()
    for text in texts:
        score_text(score, text, subject.find(text.text, text.known if with_record else ()))
    return score


def _renamed(figure: Figure) -> Figure:
    return Figure(f"stock_{figure.name}", figure.value, figure.unit)


def _write_errors(file: Path, with_record: Score, without: Score) -> None:
    rows = [row | {"record": True} for row in with_record.errors] + [row | {"record": False} for row in without.errors]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _read_independent(options: argparse.Namespace) -> dict[str, list[LabelledText]]:
    readers = {
        "general": (options.presidio_research, read_presidio_research),
        "banking77": (options.banking77, read_banking77),
        "nlupp": (options.nlupp, read_nlupp),
    }
    return {name: read(path) for name, (path, read) in readers.items() if path is not None}


def _read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tellergate bench masking", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=("dev", "test"), default="test")
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--errors", type=Path, default=None, metavar="FILE")
    parser.add_argument("--no-stock", dest="stock", action="store_false")
    parser.add_argument("--no-vault", dest="vault", action="store_false")
    parser.add_argument("--presidio-research", type=Path, default=None, metavar="DIR")
    parser.add_argument("--banking77", type=Path, default=None, metavar="FILE")
    parser.add_argument("--nlupp", type=Path, default=None, metavar="DIR")
    options = parser.parse_args(arguments)
    if not 1 <= options.texts <= _MAX_TEXTS:
        parser.error(f"--texts 1 to {_MAX_TEXTS}")
    if options.errors is not None and options.part != "dev":
        parser.error("--errors is for --part dev: who works on the detection does not look at the test part")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
