"""Give the demo tenant the settlement batches of its payouts, through the same door as any bank's file. Twice is once."""

from __future__ import annotations

import io
from datetime import UTC, datetime, time
from pathlib import Path

from demo.generator import DEFAULT_SEED
from demo.settlement import Payout, make_settlement_rows
from demo.writing import render_row
from ledger.settlement.importing import SettlementReport, import_settlement, read_settlement
from masking.vault import Transact
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "demo_settlement.sql")
_OPERATOR = "demo"


def load_demo_settlement(
    transact: Transact, *, tenant_id: str, now: datetime, seed: int = DEFAULT_SEED
) -> SettlementReport | None:
    """Import the batches of the payouts that the demo's load brought; None where there is no demo or it holds no payout.

    Idempotency: the file is the same for the same records, and is known by its digest.
    """
    with transact(tenant_id) as connection:
        day = connection.execute(_QUERIES["find_demo_day"]).fetchone()
        payouts = [Payout(*row) for row in connection.execute(_QUERIES["list_payouts"])]
        if day is None or not payouts:
            return None
        as_of = datetime.combine(day[0].astimezone(UTC).date(), time(), UTC)
        content = b"".join(render_row(row) for row in make_settlement_rows(payouts, seed=seed, as_of=as_of))
        file = read_settlement(io.BytesIO(content), "jsonl", now=now)
        return import_settlement(connection, file, tenant_id=tenant_id, operator_id=_OPERATOR, now=now)
