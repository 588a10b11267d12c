"""The planted values through the real boundary into a real database: nothing stands there, and everything would be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg import Connection

from demo.canaries import CANARIES, CANARY_MESSAGE
from masking import patterns
from masking.recognizers import NerRecognizer, PatternsRecognizer
from serving.cli.leak_scan import Searcher, scan_database
from tests.integration.masking.conftest import Boundary

SPACE = "msg_" + "7" * 32
Store = Callable[[str], set[str]]


@pytest.fixture
def found_after_storing(admin_conn: Connection[Any]) -> Iterator[Store]:
    """Put a text into a table and as JSON and bytes into others; return the classes that a scan then finds. Leaves nothing."""
    admin_conn.autocommit = False

    def store(text: str) -> set[str]:
        admin_conn.execute("CREATE TABLE core.scan_probe (note TEXT, body JSONB, packed BYTEA, words TEXT[], amount BIGINT)")
        admin_conn.execute(
            "INSERT INTO core.scan_probe VALUES (%s, jsonb_build_object('a', %s::text), convert_to(%s, 'UTF8'), ARRAY[%s], 1)",
            [text] * 4,
        )
        columns, found = scan_database(admin_conn, Searcher())
        assert columns > 100
        by_column = {one.place: {other.pii_class for other in found if other.place == one.place} for one in found}
        assert len({frozenset(classes) for classes in by_column.values()}) <= 1
        # A text, JSON, bytes and a list: what stands in one of them stands in each.
        assert set(by_column) in (set(), {f"core.scan_probe.{name}" for name in ("note", "body", "packed", "words")})
        return {one.pii_class for one in found}

    yield store
    admin_conn.rollback()


def test_the_scan_sees_every_planted_value(found_after_storing: Store) -> None:
    assert found_after_storing(CANARY_MESSAGE) == {canary.pii_class for canary in CANARIES}


def test_nothing_of_the_message_stands_outside_the_vault(boundary: Boundary, found_after_storing: Store) -> None:
    message = boundary.masker.mask_message(CANARY_MESSAGE, scope=boundary.scope, message_id=SPACE)
    assert found_after_storing(message.masked.text) == set()
    # It is all in the vault: it comes back, but for the secret.
    secret = next(canary.value for canary in CANARIES if canary.pii_class == "SECRET")
    before, _, after = CANARY_MESSAGE.partition(secret)
    shown = boundary.read(message.masked, SPACE)
    assert shown.startswith(before)
    assert shown.endswith(after)
    assert secret not in shown


@pytest.mark.parametrize("pii_class", ["CARD", "WALLET", "EMAIL", "SECRET", "USERNAME"])
def test_without_one_rule_the_scan_is_red(
    boundary: Boundary, found_after_storing: Store, monkeypatch: pytest.MonkeyPatch, pii_class: str
) -> None:
    monkeypatch.setattr(patterns, "RULES", tuple(rule for rule in patterns.RULES if rule.pii_class != pii_class))
    monkeypatch.setattr(NerRecognizer, "find", lambda *_: iter(()))
    message = boundary.masker.mask_message(CANARY_MESSAGE, scope=boundary.scope)
    assert pii_class in found_after_storing(message.masked.text)


def test_without_the_patterns_the_scan_is_red(
    boundary: Boundary, found_after_storing: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatternsRecognizer, "find", lambda *_: iter(()))
    message = boundary.masker.mask_message(CANARY_MESSAGE, scope=boundary.scope)
    assert found_after_storing(message.masked.text)
