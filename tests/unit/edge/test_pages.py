"""What pages write from untrusted text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation import Citation
from serving.edge.console.chat import as_event
from serving.edge.deps import EdgeOptions
from serving.edge.pages import TEMPLATES_DIR, Pages, group_facts, link_handles, render_ago, render_until, split_quotes

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def _pages() -> Pages:
    return Pages.make(EdgeOptions(static_dir=Path("static"), ingest_dir=Path("var"), default_tenant_id="demo"))


def test_handles_become_buttons_and_markup_stays_text() -> None:
    written = str(link_handles('<img src=x onerror="1"> T1 & T22, not T12345 or CT1', "cnv_1"))
    assert "<img" not in written
    assert "&lt;img" in written
    assert written.count("<button") == 2
    assert 'hx-get="/conversations/cnv_1/handles/T22"' in written


@given(st.text(max_size=200))
def test_no_text_brings_its_own_elements(text: str) -> None:
    written = str(link_handles(text, "cnv_1"))
    assert written.count("<") == 2 * written.count("<button")


@pytest.mark.parametrize("kind", ["record", "passage", "decision"])
@pytest.mark.parametrize("ref", ["../../logout", "T1/../..", "a#1/../../x", "dec_1", '"><b>', "T1?x=1", "a#b"])
def test_a_citation_of_another_shape_is_no_link(kind: str, ref: str) -> None:
    macros = _pages().environment.get_template("macros.html").module
    written = str(macros.citation(Citation(kind=kind, ref=ref, title="t"), "cnv_1"))  # type: ignore[attr-defined]
    assert written == '<span class="cite">t</span>'


def test_quoted_lines_stand_apart() -> None:
    assert split_quotes("She writes:\n> one\n>two\n\nPlease check.") == (
        (False, "She writes:"),
        (True, "one\ntwo"),
        (False, "\nPlease check."),
    )


def test_times_are_said_in_words() -> None:
    assert render_ago(NOW - timedelta(seconds=5), NOW) == "just now"
    assert render_ago(NOW - timedelta(hours=3), NOW) == "3 h ago"
    assert render_until(NOW + timedelta(minutes=61), NOW) == "1 h left"
    assert render_until(NOW - timedelta(hours=2), NOW) == "2 h late"


def test_facts_are_grouped_and_said_in_words() -> None:
    assert group_facts({"transaction.is_duplicate": True, "operator.limit_minor": 5, "transaction.kind": None}) == (
        ("Operator", (("limit minor", "5"),)),
        ("Transaction", (("is duplicate", "yes"), ("kind", "not known"))),
    )


def test_an_event_of_a_stream_keeps_its_lines_together() -> None:
    assert as_event("<p>\n\n a</p>\n") == "data: <p>\ndata:  a</p>\n\n"


def test_every_template_compiles_and_none_has_inline_script_or_style() -> None:
    environment = _pages().environment
    for path in TEMPLATES_DIR.glob("*.html"):
        environment.get_template(path.name)
        text = path.read_text(encoding="utf-8")
        assert "<style" not in text, path.name
        assert " style=" not in text, path.name
        assert "hx-on" not in text, path.name
        assert "js:" not in text, path.name
        assert " onclick" not in text, path.name
        assert "|safe" not in text, path.name
        assert "<script>" not in text, path.name
