"""The whole chain in real Chromium on the real service: sign in, ask, read the checked answer, the refund and its receipt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.edge.conftest import Desk
from tests.acceptance.service import Service

pytestmark = pytest.mark.slow
_ANSWER_HANG_MS = 40_000


def _sign_in(page: Page, service: Service, username: str) -> None:
    page.goto(service.url)
    page.get_by_label("Name").fill(username)
    page.get_by_label("Password").fill(service.password_of(username))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def _open_customer(page: Page, service: Service, customer_id: str) -> None:
    page.goto(f"{service.url}/customers?q={customer_id}")
    rows = page.locator("table tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link").first.click()
    expect(page.get_by_role("log")).to_be_visible()


def _ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".answer-end").last).to_be_visible(timeout=_ANSWER_HANG_MS)


def test_from_the_question_to_the_verified_receipt(service: Service, desk: Desk, tmp_path: Path) -> None:
    case = service.scenarios["duplicate_kwd"]
    page = desk.open_page()
    _sign_in(page, service, "ada")
    _open_customer(page, service, case["customer_id"])
    _ask(page, "The customer says a shop charged twice for one purchase. Please refund the duplicate.")
    expect(page.locator(".sentence .writer").first).to_be_visible()
    card = page.locator("[data-card]")
    expect(card.locator(".outcome")).to_have_text("Allowed")
    # The Kuwaiti dinar has three decimals: KWD 1.290, never 12.90.
    amount = f"KWD {case['amount_minor'] // 1000}.{case['amount_minor'] % 1000:03}"
    expect(card).to_contain_text(f"Posted {amount}")
    card.get_by_role("button", name="Receipt").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download receipt").click()
    receipt = tmp_path / "receipt.json"
    download.value.save_as(receipt)
    verified = service.cli("verify", str(receipt), "--key", str(service.var_dir / "receipts.pub"))
    assert verified.status == 0, verified.out + verified.err
    page.keyboard.press("Escape")
    _ask(page, "Please refund the duplicate once more.")
    expect(page.locator("[data-card]").last.locator(".outcome")).to_have_text("Denied")
    expect(page.locator("[data-card]").last).to_contain_text("already_refunded")


def test_a_question_is_answered_with_citations_and_the_models_own_sentences_are_marked(service: Service, desk: Desk) -> None:
    page = desk.open_page()
    _sign_in(page, service, "ben")
    _open_customer(page, service, service.scenarios["decline_insufficient_funds"]["customer_id"])
    _ask(page, "Why was the card payment declined?")
    expect(page.locator(".cite").first).to_be_visible()
    writers = page.locator(".sentence .writer")
    for writer in writers.all():
        expect(writer).to_have_attribute("data-writer", re.compile("model|template"))
    page.locator(".cite").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
