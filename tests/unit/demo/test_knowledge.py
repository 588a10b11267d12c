"""The articles: well formed, of readable length, and saying the figures that the generator charges."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from demo import fees
from demo.declines import DAILY_CARD_LIMIT_CENTS, RESPONSE_CODES
from demo.people import SUPPORT_REFUND_LIMIT_MINOR
from domain.money import Money, render_money
from domain.roles import Role

FOLDER = Path(__file__).parents[3] / "demo" / "knowledge"
DAILY_CARD_LIMIT_MINOR = {currency: fees.price_minor(DAILY_CARD_LIMIT_CENTS, currency) for currency in SUPPORT_REFUND_LIMIT_MINOR}
ARTICLES = sorted(FOLDER.glob("*.md"))


def _read(path: Path) -> tuple[dict[str, object], str]:
    head, _, body = path.read_text(encoding="utf-8").removeprefix("---\n").partition("\n---\n")
    return yaml.safe_load(head), body


def _body(name: str) -> str:
    return _read(FOLDER / f"{name}.md")[1]


def _plain(amount_minor: int, currency: str) -> str:
    """Write an amount as the articles do: decimals of its currency, thousands with a comma."""
    number = render_money(Money(amount_minor, currency)).split()[1]
    whole, dot, fraction = number.partition(".")
    return f"{int(whole):,}{dot}{fraction}"


def test_there_are_about_forty() -> None:
    assert 38 <= len(ARTICLES) <= 45


@pytest.mark.parametrize("path", ARTICLES, ids=lambda path: path.stem)
def test_article_is_well_formed(path: Path) -> None:
    front, body = _read(path)
    assert front["id"] == path.stem
    assert isinstance(front["title"], str)
    assert front["section"] in {
        "refunds",
        "fees",
        "declines",
        "disputes",
        "payouts",
        "cards",
        "transfers",
        "accounts",
        "security",
    }
    roles = front["roles"]
    assert isinstance(roles, list)
    assert roles
    assert set(roles) <= set(Role)
    assert 120 <= len(body.split()) <= 350
    assert body.isprintable() or all(line.isprintable() for line in body.splitlines())


def test_every_decline_code_is_explained() -> None:
    overview = _body("decline-overview")
    bodies = [_read(path) for path in ARTICLES]
    for code, response in RESPONSE_CODES.items():
        assert f"| {code} | {response} |" in overview
        assert any(
            body.startswith(f"\nCode {code} means") and f"({response})" in str(front["title"]) for front, body in bodies
        ), code


@pytest.mark.parametrize(
    ("article", "table"),
    [
        ("fee-schedule", fees.PLUS_PLAN_FEE_MINOR),
        ("fee-schedule", fees.BUSINESS_PLAN_FEE_MINOR),
        ("fee-schedule", fees.WITHDRAWAL_FEE_MINOR),
        ("fee-schedule", fees.RETURNED_DEBIT_FEE_MINOR),
        ("fee-schedule", fees.CARD_REPLACEMENT_FEE_MINOR),
        ("fee-cash-withdrawal", fees.WITHDRAWAL_FEE_MINOR),
        ("fee-plan", fees.PLUS_PLAN_FEE_MINOR),
        ("fee-plan", fees.BUSINESS_PLAN_FEE_MINOR),
        ("fee-returned-debit", fees.RETURNED_DEBIT_FEE_MINOR),
        ("card-lost-stolen", fees.CARD_REPLACEMENT_FEE_MINOR),
        ("refund-policy", SUPPORT_REFUND_LIMIT_MINOR),
        ("card-limits", DAILY_CARD_LIMIT_MINOR),
        ("decline-limit-exceeded", DAILY_CARD_LIMIT_MINOR),
    ],
)
def test_figures_are_those_of_the_generator(article: str, table: dict[str, int]) -> None:
    body = _body(article)
    for currency, amount_minor in table.items():
        assert _plain(amount_minor, currency) in body, (article, currency)


def test_foreign_payment_fee_example_is_right() -> None:
    assert f"{fees.FX_FEE_BASIS_POINTS // 100}.{fees.FX_FEE_BASIS_POINTS % 100} %" in _body("fee-foreign-payment")
    assert fees.fx_fee_minor(8_000) == 140
    assert "EUR 80.00" in _body("fee-foreign-payment")
    assert "EUR 1.40" in _body("fee-foreign-payment")
    assert fees.FREE_WITHDRAWALS_PER_MONTH == 3
    assert "first three cash withdrawals" in _body("fee-cash-withdrawal")
