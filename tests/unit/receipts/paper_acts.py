"""Acts of every kind on paper: their records as gate and ledger write them, and whole logs of them with every id fixed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.canonical import canonical_bytes, digest_of
from domain.proposal import Action, ActionKind
from gates.receipts.checkpoint import CheckpointSigner, sign_checkpoint
from gates.receipts.tiles import write_log
from gates.receipts.tree import append_leaves, hash_leaf
from tests.unit.receipts.paper_log import SIGNER, TENANT

NEXT_SIGNER = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
Way = Literal["allow", "held", "holding", "approved", "denied"]
"""allow: done at once. held: placed, then posted. holding: placed, still open. approved: by a person first. denied: nothing."""
_HOLD = "tfr_" + "e" * 32
_SIDES = {
    "refund": ("house:refunds:EUR", "customer:acc_1"),
    "fee_reversal": ("house:fees:EUR", "customer:acc_1"),
    "goodwill_credit": ("house:goodwill:EUR", "customer:acc_1"),
    "provisional_credit": ("house:provisional:EUR", "customer:acc_1"),
    "payment": ("customer:acc_1", "house:bank:payments:EUR"),
    "dispute_writeoff": ("house:writeoff:EUR", "house:provisional:EUR"),
    "hold_release": ("customer:acc_1", "house:bank:payments:EUR"),
}
MONEY_KINDS = tuple(kind for kind in _SIDES if kind != "hold_release")
MONEYLESS_KINDS = ("card_block", "beneficiary_change", "case_close", "kyc_decision")
_EVENTS = {"posted": "transfer_posted", "pending": "hold_placed", "post": "hold_posted", "void": "hold_voided"}


@dataclass(slots=True)
class _Story:
    """Write one proposal's records; every id is derived from its number."""

    number: int
    kind: str
    amount_minor: int
    records: list[dict[str, Any]] = field(default_factory=list)

    def id_of(self, prefix: str, part: int = 0) -> str:
        return f"{prefix}_{hashlib.sha256(f'{prefix}|{self.number}|{part}'.encode()).hexdigest()[:32]}"

    @property
    def action(self) -> dict[str, Any]:
        with_money = self.kind in _SIDES
        action = Action(
            tenant_id=TENANT,
            proposal_id=self.id_of("prp"),
            kind=ActionKind(self.kind),
            transaction_id="txn_1" if self.kind in {"refund", "fee_reversal"} else None,
            customer_id="cus_1",
            account_id="acc_1" if with_money else None,
            amount_minor=self.amount_minor if with_money else 0,
            currency="EUR" if with_money else "XXX",
            reason_code="other",
            beneficiary_id="ben_1" if self.kind in {"payment", "beneficiary_change"} else None,
            subject_id={"hold_release": _HOLD, "card_block": "crd_1", "case_close": "cas_1", "dispute_writeoff": "dsp_1"}.get(
                self.kind
            ),
        )
        return action.model_dump(mode="json")

    def add(self, event_type: str, subject: str, data: dict[str, Any], *, event_id: str | None = None) -> dict[str, Any]:
        action = self.action
        has_money = event_type.startswith(("gate.", "ledger."))
        record = {
            "event_id": event_id or f"evt_{self.id_of('e', len(self.records)).removeprefix('e_')}",
            "event_type": event_type,
            "source": event_type.partition(".")[0],
            "subject": subject,
            "tenant_id": TENANT,
            "occurred_at": "2026-03-02T12:00:02.000000Z",
            "recorded_at": "2026-03-02T12:00:02.000000Z",
            "account_id": action["account_id"] if has_money else None,
            "idempotency_key": None,
            "amount_minor": action["amount_minor"] if has_money else None,
            "currency": action["currency"] if has_money else None,
            "policy_decision": None,
            "policy_version": None,
            "model_score_ref": None,
            "trace_id": None,
            "data": data,
        }
        self.records.append(record)
        return record

    def begin(self) -> None:
        message_id = self.id_of("msg")
        conversation_id = self.id_of("cnv")
        about = {"message_id": message_id, "conversation_id": conversation_id}
        message = self.add("message.received", message_id, {**about, "operator_id": "opr_ada"})
        data = {"proposal_id": self.id_of("prp"), "proposal_digest": "5" * 64, "message_event_id": message["event_id"], **about}
        self.add("proposal.submitted", self.id_of("prp"), data)

    def decide(
        self, part: int, outcome: str, *, previous: int | None = None, approval: str | None = None, held: str | None = None
    ) -> None:
        proposal = self.records[1]
        data = {
            "decision_id": self.id_of("dec", part),
            "proposal_id": self.id_of("prp"),
            "proposal_digest": proposal["data"]["proposal_digest"],
            "proposal_event_id": proposal["event_id"],
            "previous_decision_id": None if previous is None else self.id_of("dec", previous),
            "approval_id": approval,
            "outcome": outcome,
            "action": self.action,
            "action_digest": digest_of(self.action),
            "policy_bundle_sha256": "6" * 64,
            "operator_id": "opr_ada",
            "hold_transfer_id": held,
            "hold_expires_at": "2026-03-03T12:00:01.000000Z" if outcome == "hold" else None,
            "decided_at": "2026-03-02T12:00:01.000000Z",
            "expires_at": "2026-03-02T12:01:01.000000Z",
        }
        self.add("gate.decided", data["decision_id"], data)

    def approve(self) -> str:
        data = {
            "review_id": self.id_of("rev"),
            "approval_id": self.id_of("apr"),
            "decision_id": self.id_of("dec", 0),
            "proposal_id": self.id_of("prp"),
            "action_digest": digest_of(self.action),
            "operator_id": "opr_cleo",
        }
        self.add("review.approved", data["review_id"], data)
        return data["approval_id"]

    def carry_out(self, transfer_kind: str, *, target: str | None = None) -> None:
        decision = self.records[-1]
        action = self.action
        data = {
            "decision_id": decision["subject"],
            "decision_event_id": decision["event_id"],
            "proposal_id": self.id_of("prp"),
            "action_digest": digest_of(action),
            "transfer_digest": _digest(action, decision["subject"], transfer_kind, target),
            "kind": transfer_kind,
        }
        if transfer_kind == "none":
            self.add("gate.executed", decision["subject"], {**data, "kind": self.kind})
            return
        transfer_id = self.id_of("tfr", len(self.records))
        debit, credit = _SIDES[self.kind]
        data |= {
            "transfer_id": transfer_id,
            "code": self.kind,
            "target_id": target,
            "transaction_id": action["transaction_id"],
            "account_id": action["account_id"],
            "amount_minor": action["amount_minor"],
            "currency": action["currency"],
        }
        for side, account in (("debit", debit), ("credit", credit)):
            data |= {side: account, f"{side}_version": 7}
            data[f"{side}_balance_after_minor"] = None if account.startswith("house:") else 4990
        self.add(f"ledger.{_EVENTS[transfer_kind]}", transfer_id, data, event_id=transfer_id.replace("tfr_", "evt_"))


def _digest(action: dict[str, Any], decision_id: str, transfer_kind: str, target: str | None) -> str:
    if action["kind"] == "refund" and transfer_kind == "posted":
        text = f"refund|{TENANT}|{decision_id}|txn_1|acc_1|{action['amount_minor']}|EUR"
    else:
        dashed = ""
        if target is not None:
            digits = target.removeprefix("tfr_")
            dashed = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        text = f"act|{TENANT}|{decision_id}|{digest_of(action)}|{transfer_kind}|{dashed}"
    return hashlib.sha256(text.encode()).hexdigest()


def make_act(kind: str, way: Way = "allow", *, number: int = 1, amount_minor: int = 4990) -> list[dict[str, Any]]:
    """Return the records of one act, in the order of the log."""
    story = _Story(number, kind, amount_minor)
    story.begin()
    transfer_kind = "none" if kind in MONEYLESS_KINDS else "void" if kind == "hold_release" else "posted"
    target = _HOLD if kind == "hold_release" else None
    if way == "denied":
        story.decide(0, "deny")
    elif way == "allow":
        story.decide(0, "allow")
        story.carry_out(transfer_kind, target=target)
    elif way == "approved":
        story.decide(0, "review")
        story.decide(1, "allow", previous=0, approval=story.approve())
        story.carry_out(transfer_kind, target=target)
    else:
        story.decide(0, "hold")
        story.carry_out("pending")
        if way == "held":
            placed = story.records[-1]["subject"]
            story.decide(1, "allow", previous=0, held=placed)
            story.carry_out("post", target=placed)
    return story.records


@dataclass(slots=True)
class PaperLog:
    """Hold a log: its records, and for each checkpoint its size and who signs it."""

    records: list[dict[str, Any]]
    heads: list[tuple[int, tuple[CheckpointSigner, ...]]]

    def notes(self) -> list[str]:
        """Return the signed notes."""
        return [sign_note(self.records[:size], signers) for size, signers in self.heads]

    def write(self, folder: Path) -> Path:
        """Write it as `receipts export` does."""
        write_log(folder, self.records, self.notes(), tenant_id=TENANT, size=len(self.records))
        return folder

    def anchor(self, place: int) -> dict[str, Any]:
        """Return the anchored head of a checkpoint."""
        size, signers = self.heads[place]
        note = sign_note(self.records[:size], signers)
        root = append_leaves(0, {}, [hash_leaf(canonical_bytes(record)) for record in self.records[:size]]).root
        return {"tree_size": size, "root": root.hex(), "note": note, "anchored_at": "2026-03-02T12:00:03.000000Z"}


def sign_note(records: Sequence[dict[str, Any]], signers: Sequence[CheckpointSigner]) -> str:
    """Sign the tree over these records by one key or more."""
    growth = append_leaves(0, {}, [hash_leaf(canonical_bytes(record)) for record in records])
    notes = [sign_checkpoint(signer, tenant_id=TENANT, size=growth.size, root=growth.root) for signer in signers]
    return notes[0] + "".join(note.splitlines(keepends=True)[-1] for note in notes[1:])


def make_rotation(number: int = 900) -> dict[str, Any]:
    """Return the record that tells of a changed key."""
    story = _Story(number, "card_block", 0)
    data = {"retired_key": SIGNER.verifier_key, "verifier_key": NEXT_SIGNER.verifier_key, "operator_id": "opr_kim"}
    record = story.add("gate.key_rotated", NEXT_SIGNER.key_id.hex(), data)
    return {**record, "amount_minor": None, "currency": None, "account_id": None}


def make_log(*, rotated: bool = False, batch: int = 7) -> PaperLog:
    """Return a log with an act of every kind, three holds, denials, and records that are no part of any act."""
    records: list[dict[str, Any]] = []
    # This story's hold is what the release of the last one lets go.
    records += _rename_hold(make_act("payment", "holding", number=1))
    number = 1
    for kind in (*MONEY_KINDS, *MONEYLESS_KINDS):
        number += 1
        records += make_act(kind, number=number, amount_minor=1000 + number)
    for kind, way in (
        ("refund", "approved"),
        ("payment", "held"),
        ("refund", "held"),
        ("payment", "denied"),
        ("payment", "approved"),
    ):
        number += 1
        records += make_act(kind, way, number=number, amount_minor=1000 + number)  # type: ignore[arg-type]
    records += make_act("hold_release", "approved", number=number + 1)
    place = len(records) // 2
    if rotated:
        records.insert(place, make_rotation())
    heads: list[tuple[int, tuple[CheckpointSigner, ...]]] = []
    current: tuple[CheckpointSigner, ...] = (SIGNER,)
    sizes = sorted({*range(batch, len(records), batch), len(records)})
    for size in sizes:
        signers = current
        if rotated and size > place and current == (SIGNER,):
            signers, current = (SIGNER, NEXT_SIGNER), (NEXT_SIGNER,)
        heads.append((size, signers))
    return PaperLog(records, heads)


def _rename_hold(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    placed = records[-1]
    placed["subject"] = placed["data"]["transfer_id"] = _HOLD
    placed["event_id"] = _HOLD.replace("tfr_", "evt_")
    return records
