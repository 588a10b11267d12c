"""Write the JSON schemas of what goes in and comes out to docs/schemas/; `--check` says whether they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from domain.case import Case
from domain.decision import Decision
from domain.event import Event
from domain.incident import Incident
from domain.proposal import Proposal
from domain.receipt import Receipt
from gates.explanation import Explanation
from gates.policy.checking import CaseReport, Report
from gates.policy.diffing import BundleDiff
from gates.pure import DecideInput
from gates.replay.backtest import BacktestReport
from gates.replay.replay import ReplayReport
from gates.review_labels import ReviewLabel
from ledger.reconciliation.importing import ImportReport
from ledger.settlement.batch import BatchRow, PayoutExplanation
from ledger.settlement.importing import SettlementReport
from serving.bank.wire import AcknowledgementIn, InstructionOut
from serving.cli.mask import MaskIn, MaskOut
from serving.edge.api.events import PlacedEvent
from serving.edge.api.policy_views import PolicyChange, PolicyList, PolicyView, RolledBack
from serving.edge.api.registry_views import ArtifactView, RegistryView
from serving.edge.api.schemas import AnswerOut
from serving.edge.api.staff_proposals import StaffProposalBody
from serving.ingest.ingest import IngestReport

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"
_MODELS: dict[str, type[BaseModel]] = {
    "answer": AnswerOut,
    "bank-acknowledgement": AcknowledgementIn,
    "bank-instruction": InstructionOut,
    "case": Case,
    "decide-input": DecideInput,
    "decision": Decision,
    "event": Event,
    "incident": Incident,
    "explanation": Explanation,
    "mask-input": MaskIn,
    "mask-output": MaskOut,
    "payout-explanation": PayoutExplanation,
    "placed-event": PlacedEvent,
    "policy": PolicyView,
    "policy-change": PolicyChange,
    "policy-list": PolicyList,
    "policy-rollback": RolledBack,
    "proposal": Proposal,
    "receipt": Receipt,
    "registry": RegistryView,
    "registry-artifact": ArtifactView,
    "review-outcome": ReviewLabel,
    "settlement-row": BatchRow,
    "staff-proposal": StaffProposalBody,
}


def render_schemas() -> dict[str, str]:
    """Return each file's name and text."""
    schemas = {name: model.model_json_schema() for name, model in _MODELS.items()}
    schemas["ingest-report"] = TypeAdapter(IngestReport).json_schema()
    schemas["policy-check"] = TypeAdapter(Report).json_schema()
    schemas["policy-diff"] = TypeAdapter(BundleDiff).json_schema()
    schemas["policy-test"] = TypeAdapter(CaseReport).json_schema()
    schemas["replay"] = TypeAdapter(ReplayReport).json_schema()
    schemas["backtest"] = TypeAdapter(BacktestReport).json_schema()
    schemas["settlement-report"] = TypeAdapter(SettlementReport).json_schema()
    schemas["statement-report"] = TypeAdapter(ImportReport).json_schema()
    return {f"{name}.schema.json": json.dumps(schema, indent=2, sort_keys=True) + "\n" for name, schema in schemas.items()}


def main() -> int:
    """Write the files, or compare them."""
    stale = []
    for name, text in render_schemas().items():
        file = FOLDER / name
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            file.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/schemas/{name} is not current: run python -m tools.schemas")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
