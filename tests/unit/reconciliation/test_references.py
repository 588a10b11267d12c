"""Ids of ours are found however a bank writes them; nothing else of a text is kept readable unless it is harmless."""

from __future__ import annotations

import pytest

from ledger.reconciliation.references import (
    find_own_ids,
    is_own_id,
    keys_of_id,
    read_reference_keys,
    reference_key,
    shown_reference,
)

HEX = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"
UUID_TEXT = "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"tfr_{HEX}", f"tfr_{HEX}"),
        (f"REFUND TFR-{HEX.upper()}/CLOTHES", f"tfr_{HEX}"),
        (f"ref:dec {HEX}.", f"dec_{HEX}"),
        (f"tfr{HEX}", f"tfr_{HEX}"),
        (f"INS_{HEX}", f"ins_{HEX}"),
        (HEX, f"uuid:{HEX}"),
        (f"EREF+{UUID_TEXT}", f"uuid:{HEX}"),
        (f"txn_{HEX}", None),
        (f"{HEX}0", None),
        (f"a{HEX}", None),
        ("no id", None),
    ],
)
def test_ids_are_found_as_banks_write_them(text: str, found: str | None) -> None:
    assert list(find_own_ids(text)) == ([] if found is None else [found])


def test_a_line_and_a_transfer_meet_under_a_key() -> None:
    assert reference_key(HEX) in keys_of_id(f"tfr_{HEX}")
    assert reference_key(f" TFR_{HEX.upper()} ") in keys_of_id(f"tfr_{HEX}")
    assert reference_key(UUID_TEXT) in keys_of_id(f"dec_{HEX}")
    assert is_own_id(f"tfr_{HEX}")
    assert not is_own_id(f"uuid:{HEX}")


def test_other_references_are_kept_as_digests() -> None:
    keys = read_reference_keys(references=("Batch 2026 07", "", "  "), texts=(f"for Ana Ferreyra, tfr_{HEX}",))
    assert keys == tuple(sorted((reference_key("BATCH202607"), f"tfr_{HEX}")))
    assert "ana" not in " ".join(keys).lower()
    assert not any(" " in key for key in keys)


@pytest.mark.parametrize(
    "harmful",
    [
        "DE89370400440532013000", "de89370400440532013000", "PAY/DE89370400440532013000/7", "4929000000006",
        "4111-1111-1111-1111", "Ana Ferreyra", "ana@example.com", "Müller", "x" * 65,
    ],
)  # fmt: skip
def test_what_may_be_somebodys_is_shown_as_a_digest(harmful: str) -> None:
    shown = shown_reference(harmful)
    assert shown is not None
    assert shown.startswith("sha256:")
    assert shown == shown_reference(harmful)


@pytest.mark.parametrize("harmless", ["BANK-1", "2026030200017", "NTRY/77:1", "A1"])
def test_a_banks_own_number_stays(harmless: str) -> None:
    assert shown_reference(f" {harmless} ") == harmless
    assert shown_reference(" ") is None
