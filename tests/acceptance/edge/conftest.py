"""The edge's world and a real Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.integration.edge.conftest import detector, world

__all__ = ["detector", "world"]
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run")


@dataclass(slots=True)
class Desk:
    """A browser that keeps what its console complained about."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def open_page(self, *, color_scheme: str = "light", width: int = 1440, height: int = 900) -> Page:
        """Open a page of its own person: cookies are not shared."""
        context = self.browser.new_context(color_scheme=color_scheme, viewport={"width": width, "height": height})  # type: ignore[arg-type]
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda line: self.complaints.append(line.text) if line.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def close(self) -> None:
        """Close what was opened."""
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names. For a module only: Playwright holds the thread's event loop."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def desk(chromium: Browser) -> Iterator[Desk]:
    """A fresh desk; a test ends with no complaint of the browser, Content-Security-Policy violations among them."""
    opened = Desk(chromium)
    yield opened
    opened.close()
    assert opened.complaints == []
