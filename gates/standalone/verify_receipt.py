#!/usr/bin/env python3
"""Verify a Tellergate receipt, or a whole exported log, offline.

    python verify_receipt.py RECEIPT --key KEYS [--json]
    python verify_receipt.py --log DIR --key KEYS [--anchor FILE] [--json]

One file, on purpose: standard library and `cryptography` only, nothing of the project that made it, no network, no clock.
Exit status: 0 verified, 1 refused, 2 could not try (a file that cannot be read, a key that is none).

What is checked of a receipt, in this order: the file is exactly the canonical JSON (RFC 8785) of a receipt and a newline; the
checkpoint is a C2SP signed note of a known key for the records' tenant; each record is a leaf of that tree (RFC 6962); the
records name each other (message, proposal, decisions, approvals, what was done), and the decision allows what was done.

Of a log: every record is a leaf, every tile and every checkpoint's root follow from the leaves (so each tree continues the one
before), no head that was anchored elsewhere is missing or different, the signing keys changed only where the log says so, and
whatever moved stands on a decision of its own that allows exactly this.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "tellergate-receipt/1"
MAX_BYTES = 4 * 1024 * 1024
MAX_EXACT = 2**53 - 1
LOG_FORMAT = "tellergate-log/1"
PER_FILE = 256
RECORD_FIELDS = {
    "account_id", "amount_minor", "currency", "data", "event_id", "event_type", "idempotency_key", "model_score_ref",
    "occurred_at", "policy_decision", "policy_version", "recorded_at", "source", "subject", "tenant_id", "trace_id",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
NOTE = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,17})\n([^\n]+)\n\n((?:\N{EM DASH} [^ \n+]+ [^ \n]+\n){1,3})", re.ASCII)
# What is done for an allowed act of a kind: from which account to which.
PLANS = {
    "refund": ("house:refunds:CUR", "customer:ACC"),
    "fee_reversal": ("house:fees:CUR", "customer:ACC"),
    "goodwill_credit": ("house:goodwill:CUR", "customer:ACC"),
    "provisional_credit": ("house:provisional:CUR", "customer:ACC"),
    "payment": ("customer:ACC", "house:bank:payments:CUR"),
    "dispute_writeoff": ("house:writeoff:CUR", "house:provisional:CUR"),
}
MONEYLESS = ("card_block", "beneficiary_change", "case_close", "kyc_decision")
# What a transfer's event is called, and the word for its kind in the digest that binds it to its decision.
TRANSFERS = {
    "ledger.transfer_posted": "posted",
    "ledger.hold_placed": "pending",
    "ledger.hold_posted": "post",
    "ledger.hold_voided": "void",
}
EXECUTED = "gate.executed"
ANSWERS = ("review.approved", "review.refused", "review.expired")
# Transfers that stand on no decision: what was brought in when the books were opened, and holds that ran out.
UNDECIDED_CODES = ("opening_balance", "import", "expiry")
SHORT_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


class Refused(Exception):
    """Say why a receipt does not hold."""


class Unusable(Exception):
    """Say why the verification could not be tried."""


class VerifierKey(NamedTuple):
    """Hold a public key, its name and the four bytes that name it in a signature."""

    name: str
    key_id: bytes
    public_key: bytes


class Head(NamedTuple):
    """Hold what a checkpoint says, and the ids of the known keys that signed it."""

    origin: str
    size: int
    root: bytes
    signed_by: tuple[bytes, ...]


class Story(NamedTuple):
    """Hold the records of one proposal in the order of the log. Each effect stands with the decision before it."""

    message: dict[str, Any] | None
    proposal: dict[str, Any]
    decisions: list[dict[str, Any]]
    reviews: list[dict[str, Any]]
    effects: list[tuple[dict[str, Any], dict[str, Any]]]


def require(condition: object, message: str) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise Refused(message)


# Canonical JSON (RFC 8785, without fractions) ------------------------------------------------------------------------------


def write_canonical(value: Any) -> str:
    """Write strings, integers, booleans, null, lists and objects in their one form."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        require(abs(value) <= MAX_EXACT, "an integer is too large to be exact")
        return str(value)
    if isinstance(value, str):
        return _write_string(value)
    if isinstance(value, list):
        return "[" + ",".join(write_canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_write_string(name)}:{write_canonical(value[name])}" for name in names) + "}"
    raise Refused("a value has no canonical form")


def _write_string(text: str) -> str:
    escaped = (SHORT_ESCAPES.get(ord(char)) or (f"\\u{ord(char):04x}" if ord(char) < 32 else char) for char in text)
    return '"' + "".join(escaped) + '"'


def _no_fraction(_: str) -> NoReturn:
    raise Refused("a number with a fraction or an exponent")


def read_canonical(content: bytes) -> Any:
    """Read JSON, and refuse every form of it but the canonical one followed by one newline."""
    require(len(content) <= MAX_BYTES, "the file is too large for a receipt")
    try:
        value = json.loads(content.decode("utf-8"), parse_float=_no_fraction, parse_constant=_no_fraction)
        canonical = write_canonical(value).encode("utf-8") + b"\n"
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON of a receipt") from error
    require(canonical == content, "the bytes are not the canonical form (RFC 8785 and one newline)")
    return value


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes, as hex."""
    return hashlib.sha256(write_canonical(value).encode("utf-8")).hexdigest()


# Key, checkpoint, tree -----------------------------------------------------------------------------------------------------


def decode_base64(text: str) -> bytes:
    """Decode base64 in its one form: padded, no spare bits set."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refused("not base64") from error
    require(base64.b64encode(raw).decode() == text, "not the one form of base64")
    return raw


def parse_key(line: str) -> VerifierKey:
    """Read `name+hex id+base64 key`. Source: c2sp.org/signed-note, verifier keys."""
    name, _, rest = line.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = decode_base64(encoded)
    except Refused as error:
        raise Unusable("the key is not of the form name+id+base64") from error
    if not name or len(raw) != 33 or raw[:1] != b"\x01":
        raise Unusable("the key is no Ed25519 verifier key of the form name+id+base64")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if key_id != expected.hex():
        raise Unusable("the key's id does not belong to its name and bytes")
    return VerifierKey(name=name, key_id=expected, public_key=raw[1:])


def parse_keys(text: str) -> list[VerifierKey]:
    """Read a key file: one key a line, the oldest first. A log whose key was changed has several."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not 1 <= len(lines) <= 100:
        raise Unusable("a key file holds one key a line")
    return [parse_key(line) for line in lines]


def check_checkpoint(note: str, *keys: VerifierKey) -> Head:
    """Verify a signed note and read its three lines. A known key must have signed it; lines of unknown keys say nothing."""
    match = NOTE.fullmatch(note)
    if match is None:
        raise Refused("the checkpoint is not a signed note of three lines with one to three signatures")
    origin, size, root, lines = match.groups()
    text = note[: match.end(3) + 1].encode("utf-8")
    signed_by: list[bytes] = []
    for line in lines.splitlines():
        _, name, encoded = line.split(" ")
        signature = decode_base64(encoded)
        require(len(signature) == 68, "a signature has another length")
        for key in keys:
            if (key.name, key.key_id) == (name, signature[:4]):
                require(key.key_id not in signed_by, "one key signed twice")
                check_signature(key, signature[4:], text)
                signed_by.append(key.key_id)
    names = ", ".join(sorted({key.name for key in keys}))
    require(signed_by, f"the checkpoint is not signed by the key {names}")
    root_hash = decode_base64(root)
    require(len(root_hash) == 32, "the root is no SHA-256")
    return Head(origin=origin, size=int(size), root=root_hash, signed_by=tuple(signed_by))


def check_signature(key: VerifierKey, signature: bytes, text: bytes) -> None:
    """Verify one Ed25519 signature."""
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        raise Refused("the checkpoint's signature is not valid") from error


def require_origin(head: Head, keys: tuple[VerifierKey, ...], tenant_id: str) -> None:
    """Require that the checkpoint is of this tenant's log."""
    origins = {f"{key.name}/{tenant_id}" for key in keys if key.key_id in head.signed_by}
    require(head.origin in origins, "the checkpoint is of another tenant's log")


def check_path(record: Any, index: int, path: list[str], head: Head) -> None:
    """Walk from a record's leaf to the root. Source: RFC 9162 section 2.1.3.2."""
    require(0 <= index < head.size, f"record {index} lies outside of the signed tree of {head.size}")
    node, last = index, head.size - 1
    digest = hashlib.sha256(b"\x00" + write_canonical(record).encode("utf-8")).digest()
    for text in path:
        require(isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text), f"record {index}: no hash in its path")
        require(last > 0, f"record {index}: its path is too long")
        sibling = bytes.fromhex(text)
        if node & 1 or node == last:
            digest = hashlib.sha256(b"\x01" + sibling + digest).digest()
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            digest = hashlib.sha256(b"\x01" + digest + sibling).digest()
        node, last = node >> 1, last >> 1
    require(last == 0, f"record {index}: its path is too short")
    require(digest == head.root, f"record {index} is not in the signed tree")


# Records and their links ---------------------------------------------------------------------------------------------------


def check_shape(receipt: Any) -> list[dict[str, Any]]:
    """Return the records of a well-formed receipt, in their order."""
    require(isinstance(receipt, dict), "a receipt is an object")
    require(set(receipt) == {"format", "decision_id", "checkpoint", "records"}, "a receipt has other fields")
    require(receipt["format"] == FORMAT, f"the format is not {FORMAT}")
    require(isinstance(receipt["decision_id"], str) and isinstance(receipt["checkpoint"], str), "a field is no text")
    logged = receipt["records"]
    require(isinstance(logged, list) and logged, "there are no records")
    previous = -1
    for entry in logged:
        require(isinstance(entry, dict) and set(entry) == {"record", "index", "path"}, "a record has other fields")
        require(type(entry["index"]) is int and entry["index"] > previous, "records are not in the order of the log")
        require(isinstance(entry["path"], list), "a path is no list")
        previous = entry["index"]
        check_event(entry["record"])
    return [entry["record"] for entry in logged]


def check_event(record: Any) -> None:
    """Require the fields of an event."""
    require(isinstance(record, dict) and set(record) == RECORD_FIELDS, "an event has other fields")
    require(isinstance(record["data"], dict), "an event's data is no object")
    for name in ("event_id", "event_type", "subject", "tenant_id"):
        require(isinstance(record[name], str), f"an event's {name} is no text")
    for name in ("occurred_at", "recorded_at"):
        require(isinstance(record[name], str) and TIME.fullmatch(record[name]), f"an event's {name} is no UTC time")


def same(left: dict[str, Any], right: dict[str, Any], *names: str, what: str) -> None:
    """Require both to hold these fields, not null, with equal values of one type."""
    for name in names:
        value = left.get(name)
        require(
            value is not None and type(value) is type(right.get(name)) and value == right.get(name), f"{what}: {name} differs"
        )


def split_records(records: list[dict[str, Any]]) -> Story:
    """Sort records by kind, and require that causes were logged before their effects."""
    kinds = {"message.received": "message", "proposal.submitted": "proposal", "gate.decided": "gate"}
    kinds |= dict.fromkeys(ANSWERS, "review") | dict.fromkeys((*TRANSFERS, EXECUTED), "effect")
    found: dict[str, list[dict[str, Any]]] = {"message": [], "proposal": [], "gate": [], "review": [], "effect": []}
    order: list[str] = []
    effects: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for record in records:
        kind = kinds.get(record["event_type"])
        if kind is None:
            raise Refused(f"a record of the unknown type {record['event_type']}")
        if kind == "effect":
            require(found["gate"], "proposal or decision missing or double")
            effects.append((record, found["gate"][-1]))
        found[kind].append(record)
        order.append(kind)
    require(
        len(found["message"]) <= 1 and len(found["proposal"]) == 1 and found["gate"], "proposal or decision missing or double"
    )
    done = [place for place, record in enumerate(records) if kinds[record["event_type"]] == "effect" and not _is_hold(record)]
    require(len(done) <= 1, "more than one posting")
    require(len({decision["subject"] for _, decision in effects}) == len(effects), "more than one effect of a decision")
    expected = ["message"] * len(found["message"]) + ["proposal", "gate"]
    require(order[: len(expected)] == expected, "the log does not begin with message, proposal, decision")
    require(not done or done[0] == len(records) - 1, "a record after the posting")
    require(len({record["tenant_id"] for record in records}) == 1, "records of more than one tenant")
    require(len({record["event_id"] for record in records}) == len(records), "one event twice")
    message = found["message"][0] if found["message"] else None
    return Story(message, found["proposal"][0], found["gate"], found["review"], effects)


def _is_hold(record: dict[str, Any]) -> bool:
    return bool(record["event_type"] == "ledger.hold_placed")


def check_story(records: list[dict[str, Any]]) -> Story:
    """Require that these records of one proposal hang together, and that what was done was allowed."""
    story = split_records(records)
    try:
        check_sources(story)
        check_decisions(story)
        for place, (effect, decision) in enumerate(story.effects):
            check_effect(effect, decision, earlier=[done for done, _ in story.effects[:place]])
    except (KeyError, TypeError) as error:
        raise Refused("a record lacks a field, or holds it in another form") from error
    return story


def check_sources(story: Story) -> None:
    """Link the proposal to its message."""
    proposal, message = story.proposal, story.message
    data = proposal["data"]
    require(proposal["subject"] == data.get("proposal_id"), "the proposal's subject differs")
    require("message_event_id" in data, "the proposal does not say which message it answers")
    if data["message_event_id"] is None:
        require(message is None, "a message that the proposal does not name")
        return
    if message is None:
        raise Refused("the proposal's message is missing")
    require(message["event_id"] == data["message_event_id"], "the proposal names another message event")
    require(message["subject"] == message["data"].get("message_id"), "the message's subject differs")
    same(message["data"], data, "message_id", "conversation_id", what="message and proposal")


def check_decisions(story: Story) -> None:
    """Link the decisions to the proposal, to each other and to their approvals."""
    proposal = story.proposal
    previous: dict[str, Any] | None = None
    for decision in story.decisions:
        data = decision["data"]
        action = data.get("action")
        if not isinstance(action, dict):
            raise Refused("a decision without an action")
        require(decision["subject"] == data.get("decision_id"), "a decision's subject differs")
        same(data, proposal["data"], "proposal_id", "proposal_digest", what="decision and proposal")
        require(data.get("proposal_event_id") == proposal["event_id"], "a decision names another proposal event")
        require(data.get("action_digest") == digest_of(action), "a decision's action does not give its digest")
        same(action, decision, "tenant_id", what="action and decision's event")
        same(action, data, "proposal_id", what="action and decision")
        require(data.get("outcome") in ("allow", "review", "hold", "deny"), "a decision with an unknown outcome")
        expected = previous["data"]["decision_id"] if previous else None
        require("previous_decision_id" in data and data["previous_decision_id"] == expected, "the chain of decisions is broken")
        check_answers(data, previous["data"] if previous else None, story.reviews)
        previous = decision
    ids = {decision["subject"] for decision in story.decisions}
    for review in story.reviews:
        require(review["subject"] == review["data"].get("review_id"), "a review's subject differs")
        require(review["data"].get("decision_id") in ids, "a review of a decision that is not here")
        same(review["data"], proposal["data"], "proposal_id", what="review and proposal")


def check_answers(decision: dict[str, Any], previous: dict[str, Any] | None, reviews: list[dict[str, Any]]) -> None:
    """Require that a decision after a person's answer is of exactly the act that other people were asked about."""
    require("approval_id" in decision, "a decision that does not say whether a person answered")
    if decision["approval_id"] is None:
        return
    if previous is None:
        raise Refused("a first decision that was already answered")
    require(previous.get("outcome") in ("review", "hold"), "an answer to what was not in review")
    given = [review for review in reviews if review["data"].get("decision_id") == previous.get("decision_id")]
    answers = [review["data"] for review in given if review["event_type"] != "review.expired"]
    for answer in answers:
        same(answer, previous, "action_digest", "proposal_id", what="answer and reviewed decision")
        same(answer, decision, "action_digest", what="answer and decision")
        require(isinstance(answer.get("operator_id"), str), "an answer by nobody")
        require(answer["operator_id"] != decision.get("operator_id"), "the approver is who asked")
    require(len({answer["operator_id"] for answer in answers}) == len(answers), "one person answered twice")
    named = [review["event_type"] for review in given if review["data"].get("approval_id") == decision["approval_id"]]
    require(len(named) == 1, "the answer that a decision names is missing")
    require(named[0] == "review.approved" or decision["outcome"] == "deny", "a refusal that did not end in a deny")


def check_effect(effect: dict[str, Any], decision: dict[str, Any], *, earlier: list[dict[str, Any]]) -> None:
    """Require that what was done is what this decision allows. `earlier`: what was done for the proposal before."""
    data, decided = effect["data"], decision["data"]
    action = decided["action"]
    _check_kind(effect, decided, earlier)
    same(data, decided, "decision_id", "proposal_id", "action_digest", what="posting and decision")
    require(data.get("decision_event_id") == decision["event_id"], "the posting names another decision event")
    same(decision, action, "amount_minor", "currency", what="decision's event and action")
    for name in ("decided_at", "expires_at"):
        require(isinstance(decided.get(name), str) and TIME.fullmatch(decided[name]), f"the decision's {name} is no UTC time")
    if effect["event_type"] == EXECUTED:
        require(effect["subject"] == decided["decision_id"], "the act's subject differs")
        bound = bind_transfer(action, decided["decision_id"], "none", None)
        require(data.get("transfer_digest") == bound, "the act's digest is not that of the decision")
    else:
        _check_transfer(effect, decided, action)
    require(
        decided["decided_at"] <= effect["occurred_at"] < decided["expires_at"], "the decision was not alive when it was posted"
    )


def _check_kind(effect: dict[str, Any], decided: dict[str, Any], earlier: list[dict[str, Any]]) -> None:
    """Require the outcome that leads to such an effect, and the hold that it ends, if it ends one."""
    kind, target_id = decided["action"].get("kind"), effect["data"].get("target_id")
    if _is_hold(effect):
        require(decided["outcome"] == "hold" and kind in PLANS and target_id is None, "a hold without a decision that holds")
        return
    held = decided.get("hold_transfer_id")
    fits = {
        "ledger.transfer_posted": kind in PLANS and held is None and target_id is None,
        "ledger.hold_posted": kind in PLANS and held is not None and target_id == held,
        "ledger.hold_voided": kind == "hold_release" and held is None,
        EXECUTED: kind in MONEYLESS and held is None,
    }
    require(decided["outcome"] == "allow" and fits[effect["event_type"]], "a posting without a decision that allows it")
    if effect["event_type"] == "ledger.hold_posted":
        placed = [hold["subject"] for hold in earlier if _is_hold(hold)]
        require(placed[-1:] == [held], "a hold was posted that was not placed for this proposal")
    if effect["event_type"] == "ledger.hold_voided":
        require(isinstance(target_id, str) and target_id == decided["action"].get("subject_id"), "another hold was released")


def _check_transfer(effect: dict[str, Any], decided: dict[str, Any], action: dict[str, Any]) -> None:
    """Require the accounts, amount and digest that follow from the action."""
    data, kind = effect["data"], action["kind"]
    require(data.get("code", kind) == kind, "the posting is of another kind of act")
    names = ["account_id", "amount_minor", "currency"]
    if kind in ("refund", "fee_reversal"):
        names.append("transaction_id")
    if action.get("account_id") is None:
        require(kind == "dispute_writeoff" and data.get("account_id") is None, "posting and action: account_id differs")
        names.remove("account_id")
    same(data, action, *names, what="posting and action")
    same(effect, action, *(name for name in names if name != "transaction_id"), what="posting's event and action")
    require(type(data["amount_minor"]) is int and data["amount_minor"] > 0, "the posted amount is not positive")
    bound = bind_transfer(action, decided["decision_id"], TRANSFERS[effect["event_type"]], data.get("target_id"))
    require(data.get("transfer_digest") == bound, "the posting's digest is not that of the decision")
    if kind == "hold_release":
        sides = (data.get("debit"), data.get("credit"))
        require(f"customer:{action['account_id']}" in sides, "the released hold is of another account")
    else:
        debit, credit = (
            side.replace("CUR", action["currency"]).replace("ACC", str(action["account_id"])) for side in PLANS[kind]
        )
        require(data.get("debit") == debit, "the posting debits another account")
        require(data.get("credit") == credit, "the posting credits another account")
    require(effect["subject"] == data.get("transfer_id"), "the posting's subject differs")
    require(
        effect["event_id"] == f"evt_{str(data['transfer_id']).removeprefix('tfr_')}", "the posting's event is another transfer's"
    )
    for side in ("debit", "credit"):
        require(type(data.get(f"{side}_version")) is int, f"the posting's {side}_version is no integer")
        name, is_house = f"{side}_balance_after_minor", str(data[side]).startswith("house:")
        # The house's side may be rolled up: then no single posting has a balance after it.
        require(name in data or not is_house, f"the posting has no {name}")
        require(type(data.get(name)) in ((int, type(None)) if is_house else (int,)), f"the posting's {name} is no integer")


def bind_transfer(action: dict[str, Any], decision_id: str, kind: str, target_id: str | None) -> str:
    """Return the digest that the gate stored with the decision and the database compared before it posted."""
    if action["kind"] == "refund" and kind == "posted":
        parts = ("refund", action["tenant_id"], decision_id, action["transaction_id"], action["account_id"])
        text = "|".join((*parts, str(action["amount_minor"]), action["currency"]))
    else:
        digits = "" if target_id is None else target_id.removeprefix("tfr_")
        target = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])) if digits else ""
        text = "|".join(("act", action["tenant_id"], decision_id, digest_of(action), kind, target))
    return hashlib.sha256(text.encode()).hexdigest()


def verify(content: bytes, *keys: VerifierKey) -> dict[str, Any]:
    """Verify a receipt file's bytes and return what they prove. Raises: Refused."""
    receipt = read_canonical(content)
    records = check_shape(receipt)
    head = check_checkpoint(receipt["checkpoint"], *keys)
    require_origin(head, keys, records[0]["tenant_id"])
    for entry in receipt["records"]:
        check_path(entry["record"], entry["index"], entry["path"], head)
    story = check_story(records)
    return summarize(head, story, find_named(story, receipt["decision_id"]))


def find_named(story: Story, decision_id: str) -> int:
    """Return the place of the receipt's decision: the last one, or one that was not carried out before the next closed it.

    A receipt that leaves out what was done would say that nothing was: so what should have an effect shows it, or what closed it.
    """
    places = [place for place, decision in enumerate(story.decisions) if decision["subject"] == decision_id]
    require(places, "the receipt is of another decision")
    shown = {decision["subject"] for _, decision in story.effects}
    for decision in story.decisions[places[0] : -1]:
        require(_has_effect(decision) and decision["subject"] not in shown, "the receipt is of another decision")
    last = story.decisions[-1]
    require(not _has_effect(last) or last["subject"] in shown, "what the decision led to is left out")
    return places[0]


def _has_effect(decision: dict[str, Any]) -> bool:
    """Say whether something is done about such a decision while nothing supersedes it."""
    data = decision["data"]
    return bool(data["outcome"] == "allow" or (data["outcome"] == "hold" and data.get("hold_transfer_id") is None))


def summarize(head: Head, story: Story, place: int) -> dict[str, Any]:
    """Say what was proved of the decision at this place of its chain, and of what was done until then."""
    decision = story.decisions[place]
    data, action = decision["data"], decision["data"]["action"]
    chain = story.decisions[: place + 1]
    done = {effect["event_type"]: effect for effect, cause in story.effects if cause in chain}
    moved = done.get("ledger.transfer_posted") or done.get("ledger.hold_posted")
    return {
        "verified": True,
        "log": {"origin": head.origin, "size": head.size, "root": head.root.hex()},
        "decision": {
            "decision_id": data["decision_id"],
            "outcome": data["outcome"],
            "decided_at": data.get("decided_at"),
            "kind": action.get("kind"),
            "transaction_id": action.get("transaction_id"),
            "subject_id": action.get("subject_id"),
            "beneficiary_id": action.get("beneficiary_id"),
            "amount_minor": action.get("amount_minor"),
            "currency": action.get("currency"),
            "policy_bundle_sha256": data.get("policy_bundle_sha256"),
            "approval_id": data["approval_id"],
            "decisions_in_chain": len(chain),
            "closed_by": story.decisions[-1]["subject"] if place + 1 < len(story.decisions) else None,
        },
        "reviews": [
            {"event_type": review["event_type"], "operator_id": review["data"].get("operator_id")} for review in story.reviews
        ],
        "hold": _read_transfer(done.get("ledger.hold_placed")),
        "posting": _read_transfer(moved),
        "released": _read_transfer(done.get("ledger.hold_voided")),
        "executed_at": done[EXECUTED]["occurred_at"] if EXECUTED in done else None,
    }


def _read_transfer(effect: dict[str, Any] | None) -> dict[str, Any] | None:
    names = (
        "transfer_id",
        "amount_minor",
        "currency",
        "debit",
        "credit",
        "debit_balance_after_minor",
        "credit_balance_after_minor",
    )
    return None if effect is None else {**{name: effect["data"][name] for name in names}, "posted_at": effect["occurred_at"]}


def write_lines(proved: dict[str, Any]) -> list[str]:
    """Write what was proved for a person."""
    log, decision = proved["log"], proved["decision"]
    about = decision["transaction_id"] or decision["subject_id"] or decision["beneficiary_id"] or "nothing on record"
    amount = f"{decision['amount_minor']} minor units of {decision['currency']}"
    lines = [
        f"verified   every record is in the signed log {log['origin']} of {log['size']} records",
        f"decision   {decision['decision_id']}: {decision['outcome']}, decided {decision['decided_at']}",
        f"act        {decision['kind']} of {about}: {amount}",
    ]
    lines += [f"review     {review['event_type']} by {review['operator_id']}" for review in proved["reviews"]]
    for word in ("hold", "released", "posting"):
        lines += _write_transfer(word, proved[word])
    if proved["executed_at"]:
        lines.append(f"done       without money, {proved['executed_at']}")
    elif proved["posting"] is None:
        lines.append("posting    none: this decision moved no money")
    return lines


def _write_transfer(word: str, transfer: dict[str, Any] | None) -> list[str]:
    if transfer is None:
        return []
    sides = (transfer["debit_balance_after_minor"], transfer["credit_balance_after_minor"])
    after = " and ".join("(rolled up)" if side is None else str(side) for side in sides)
    amount = f"{transfer['amount_minor']} minor units of {transfer['currency']}"
    return [
        f"{word:<10} {transfer['transfer_id']}: {transfer['debit']} -> {transfer['credit']}, {amount}, {transfer['posted_at']}",
        f"balances   {after} minor units after it",
    ]


# A whole log ---------------------------------------------------------------------------------------------------------------


class Growth:
    """Grow the tree of RFC 6962 leaf by leaf, and know the root of every size on the way."""

    def __init__(self) -> None:
        self.size = 0
        self._row: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        """Append a leaf's hash."""
        self.size += 1
        self._row.append((0, leaf))
        while len(self._row) > 1 and self._row[-1][0] == self._row[-2][0]:
            (level, right), (_, left) = self._row.pop(), self._row.pop()
            self._row.append((level + 1, hashlib.sha256(b"\x01" + left + right).digest()))

    def root(self) -> bytes:
        """Return the root over the leaves so far."""
        if not self._row:
            return hashlib.sha256(b"").digest()
        root = self._row[-1][1]
        for _, left in reversed(self._row[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


def verify_log(folder: Path, *keys: VerifierKey, anchors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Verify an exported log and return what it proves. Raises: Refused, which names the record, checkpoint or anchor."""
    description = read_canonical(_read_part(folder, "log.json"))
    require(
        isinstance(description, dict) and description.get("format") == LOG_FORMAT, f"log.json: the format is not {LOG_FORMAT}"
    )
    require(set(description) == {"format", "tenant_id", "size", "checkpoints"}, "log.json has other fields")
    records, leaves = _read_entries(folder, description)
    checkpoints = _read_checkpoints(folder, keys, description["tenant_id"])
    require(len(checkpoints) == description["checkpoints"], "checkpoints.jsonl has another number of lines than log.json says")
    require(
        checkpoints[-1].size == len(leaves), f"the log holds {len(leaves)} records, its last checkpoint {checkpoints[-1].size}"
    )
    anchored = _read_anchors(anchors or [], keys, description["tenant_id"])
    for head, line in anchored:
        require(
            head.size <= len(leaves), f"anchor {line}: the log was cut: {head.size} records were anchored, it has {len(leaves)}"
        )
    roots = _find_roots(leaves, {head.size for head in checkpoints} | {head.size for head, _ in anchored})
    for head in checkpoints:
        require(roots[head.size] == head.root, f"checkpoint {head.size}: its root is not that of the first {head.size} records")
    for head, line in anchored:
        require(roots[head.size] == head.root, f"anchor {line}: the log forked: another tree of {head.size} records was anchored")
    _check_tiles(folder, leaves)
    _check_signers(records, checkpoints, keys)
    proved = _check_records(records)
    head = checkpoints[-1]
    return {
        "verified": True,
        "log": {"origin": head.origin, "size": head.size, "root": head.root.hex()},
        "checkpoints": len(checkpoints),
        "anchors": len(anchored),
        **proved,
    }


def _read_part(folder: Path, name: str) -> bytes:
    try:
        return folder.joinpath(name).read_bytes()
    except OSError as error:
        raise Refused(f"{name} is missing from the log") from error


def _list_parts(folder: Path, pattern: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file())


def _read_entries(folder: Path, description: dict[str, Any]) -> tuple[list[dict[str, Any]], list[bytes]]:
    size = description["size"]
    require(type(size) is int and 0 < size <= MAX_EXACT, "log.json: no size")
    names = [f"entries/{number:06}.jsonl" for number in range(-(-size // PER_FILE))]
    require(_list_parts(folder, "entries/*") == names, "entries: files are missing or there are others")
    records: list[dict[str, Any]] = []
    leaves: list[bytes] = []
    for name in names:
        *lines, rest = _read_part(folder, name).split(b"\n")
        expected = min(PER_FILE, size - len(records))
        require(rest == b"" and len(lines) == expected, f"{name} has not {expected} whole lines")
        for line in lines:
            try:
                record = read_canonical(line + b"\n")
                check_event(record)
            except Refused as error:
                raise Refused(f"record {len(records)}: {error}") from error
            require(record["tenant_id"] == description["tenant_id"], f"record {len(records)} is of another tenant")
            records.append(record)
            leaves.append(hashlib.sha256(b"\x00" + line).digest())
    return records, leaves


def _read_checkpoints(folder: Path, keys: tuple[VerifierKey, ...], tenant_id: str) -> list[Head]:
    heads: list[Head] = []
    *lines, rest = _read_part(folder, "checkpoints.jsonl").split(b"\n")
    require(lines and rest == b"", "checkpoints.jsonl holds no whole line")
    for number, line in enumerate(lines, 1):
        try:
            entry = read_canonical(line + b"\n")
            require(isinstance(entry, dict) and set(entry) == {"note"} and isinstance(entry["note"], str), "it is no note")
            head = check_checkpoint(entry["note"], *keys)
            require_origin(head, keys, tenant_id)
            require(head.size > (heads[-1].size if heads else 0), "its size does not grow")
        except Refused as error:
            raise Refused(f"checkpoints.jsonl, line {number}: {error}") from error
        heads.append(head)
    return heads


def read_anchors(content: bytes) -> list[dict[str, Any]]:
    """Read an anchor file: one JSON object a line, as the heads were written outside of the database. Raises: Unusable."""
    try:
        lines = [json.loads(line) for line in content.decode("utf-8").splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise Unusable("the anchor file holds no JSON lines") from error
    if not lines or not all(isinstance(line, dict) and isinstance(line.get("note"), str) for line in lines):
        raise Unusable("the anchor file holds a line without a note, or none at all")
    return lines


def _read_anchors(anchors: list[dict[str, Any]], keys: tuple[VerifierKey, ...], tenant_id: str) -> list[tuple[Head, int]]:
    heads: list[tuple[Head, int]] = []
    for number, anchor in enumerate(anchors, 1):
        try:
            head = check_checkpoint(anchor["note"], *keys)
            require_origin(head, keys, tenant_id)
        except Refused as error:
            raise Refused(f"anchor {number}: {error}") from error
        said = (anchor.get("tree_size"), anchor.get("root"))
        require(said == (head.size, head.root.hex()), f"anchor {number}: size or root is not that of its note")
        heads.append((head, number))
    return heads


def _find_roots(leaves: list[bytes], sizes: set[int]) -> dict[int, bytes]:
    tree, roots = Growth(), {}
    if 0 in sizes:
        roots[0] = tree.root()
    for leaf in leaves:
        tree.append(leaf)
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    missing = [size for size in sorted(sizes) if size not in roots]
    require(not missing, f"checkpoint {missing[:1]}: the log has {len(leaves)} records only")
    return roots


def make_tiles(leaves: list[bytes]) -> dict[str, bytes]:
    """Return every tile of the tree by its path. Source: c2sp.org/tlog-tiles; 256 hashes a tile, a part of one as `.p/WIDTH`."""
    tiles: dict[str, bytes] = {}
    level, row = 0, leaves
    while row:
        above: list[bytes] = []
        for number in range(-(-len(row) // PER_FILE)):
            part = row[number * PER_FILE : (number + 1) * PER_FILE]
            whole = len(part) == PER_FILE
            tiles[f"tile/{level}/{name_tile(number)}{'' if whole else f'.p/{len(part)}'}"] = b"".join(part)
            if whole:
                tree = Growth()
                for leaf in part:
                    tree.append(leaf)
                above.append(tree.root())
        level, row = level + 1, above
    return tiles


def name_tile(number: int) -> str:
    """Write a tile's number in groups of three digits, all but the last with an x before them."""
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)


def _check_tiles(folder: Path, leaves: list[bytes]) -> None:
    tiles = make_tiles(leaves)
    require(set(_list_parts(folder, "tile/**/*")) == set(tiles), "tile: files are missing or there are others")
    for name, content in tiles.items():
        require(_read_part(folder, name) == content, f"{name} holds other hashes than the records give")


def _check_signers(records: list[dict[str, Any]], checkpoints: list[Head], keys: tuple[VerifierKey, ...]) -> None:
    """Require that each checkpoint is signed by the key of its time; the first after a change, by both."""
    changes: list[tuple[int, bytes, bytes]] = []
    for place, record in enumerate(records):
        if record["event_type"] == "gate.key_rotated":
            try:
                retired, following = (parse_key(str(record["data"].get(name))) for name in ("retired_key", "verifier_key"))
            except Unusable as error:
                raise Refused(f"record {place}: {error}") from error
            require(following in keys and retired in keys, f"record {place}: the key was changed to one that the key file lacks")
            changes.append((place, retired.key_id, following.key_id))
    current = changes[0][1] if changes else checkpoints[0].signed_by[0]
    for place, retired_id, following_id in changes:
        require(retired_id == current, f"record {place}: another key was retired than the one in use")
        current = following_id
    for head in checkpoints:
        passed = [change for change in changes if change[0] < head.size]
        wanted = {passed[-1][2] if passed else (changes[0][1] if changes else current)}
        if passed and not any(passed[-1][0] < other.size < head.size for other in checkpoints):
            wanted.add(passed[-1][1])
        require(wanted <= set(head.signed_by), f"checkpoint {head.size}: it is not signed by the key of its time")


def _check_records(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Require of every proposal what a receipt requires, and of every transfer that it belongs to one or needs none."""
    messages = {record["event_id"]: place for place, record in enumerate(records) if record["event_type"] == "message.received"}
    require(len({record["event_id"] for record in records}) == len(records), "one event stands twice in the log")
    stories: dict[str, list[int]] = {}
    decided: set[str] = set()
    undecided = 0
    holds: set[str] = set()
    for place, record in enumerate(records):
        kind, data = record["event_type"], record["data"]
        about = data.get("proposal_id")
        if kind.startswith("ledger.") and "transfer_id" in data and data.get("decision_id") is None:
            _check_undecided(place, record, holds)
            undecided += 1
        elif kind in ("proposal.submitted", "gate.decided", *ANSWERS, *TRANSFERS, EXECUTED, "ledger.transfer_reversed"):
            require(
                isinstance(about, str) and (kind == "proposal.submitted" or about in stories),
                f"record {place}: no proposal before it",
            )
            require(kind != "proposal.submitted" or about not in stories, f"record {place}: the proposal stands twice")
            stories.setdefault(about, []).append(place)
            if kind == "gate.decided":
                require(record["subject"] not in decided, f"record {place}: the decision stands twice")
                decided.add(record["subject"])
        if kind == "ledger.hold_placed":
            holds.add(record["subject"])
        if kind in ("ledger.hold_posted", "ledger.hold_voided"):
            require(data.get("target_id") in holds, f"record {place}: it ends a hold that is not open")
            holds.discard(data["target_id"])
    return {**_check_stories(records, stories, messages), "undecided_transfers": undecided}


def _check_undecided(place: int, record: dict[str, Any], holds: set[str]) -> None:
    """A transfer that no decision stands behind: brought in when the books were opened, or the end of a hold's time."""
    data = record["data"]
    require(data.get("code") in UNDECIDED_CODES, f"record {place}: a posting without a decision")
    require(
        (data["code"] == "expiry") == (record["event_type"] == "ledger.hold_expired"),
        f"record {place}: a posting without a decision",
    )
    if data["code"] == "expiry":
        require(data.get("target_id") in holds, f"record {place}: it ends a hold that is not open")
        holds.discard(data["target_id"])


def _check_stories(records: list[dict[str, Any]], stories: dict[str, list[int]], messages: dict[str, int]) -> dict[str, Any]:
    outcomes: dict[str, int] = {}
    moved: dict[str, int] = {}
    effects = 0
    for places in stories.values():
        proposal = records[places[0]]
        source = messages.get(str(proposal["data"].get("message_event_id")))
        if len(places) == 1:
            continue
        try:
            story = check_story([records[place] for place in sorted({*places, *([] if source is None else [source])})])
        except Refused as error:
            raise Refused(f"record {places[0]} ({proposal['subject']}): {error}") from error
        for decision in story.decisions:
            outcomes[decision["data"]["outcome"]] = outcomes.get(decision["data"]["outcome"], 0) + 1
        effects += len(story.effects)
        for effect, _ in story.effects:
            if effect["event_type"] in ("ledger.transfer_posted", "ledger.hold_posted"):
                moved[effect["currency"]] = moved.get(effect["currency"], 0) + effect["amount_minor"]
    return {"proposals": len(stories), "decisions": outcomes, "effects": effects, "moved_minor": moved}


def write_log_lines(proved: dict[str, Any]) -> list[str]:
    """Write what was proved of a log for a person."""
    log = proved["log"]
    decisions = ", ".join(f"{count} {outcome}" for outcome, count in sorted(proved["decisions"].items()))
    moved = ", ".join(f"{minor} minor units of {currency}" for currency, minor in sorted(proved["moved_minor"].items()))
    anchors = f"{proved['anchors']} anchored heads" if proved["anchors"] else "NO anchor given: a cut tail would not show"
    return [
        f"verified   the log {log['origin']} of {log['size']} records, root {log['root']}",
        f"heads      {proved['checkpoints']} checkpoints, {anchors}",
        f"decisions  {decisions or 'none'} on {proved['proposals']} proposals",
        f"moved      {moved or 'nothing'} by {proved['effects']} acts, each allowed by its decision",
        f"undecided  {proved['undecided_transfers']} transfers of imports and expired holds",
    ]


def printable(line: str) -> str:
    """Make control characters visible: records hold texts of others, and a terminal obeys some of them."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def read_file(path: str) -> bytes:
    """Read a file of at most a receipt's size, and a byte more to notice a larger one."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error


def read_whole(path: str) -> bytes:
    """Read a file of any size."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="verify_receipt.py", description="Verify a Tellergate receipt or log offline.")
    parser.add_argument("receipt", nargs="?", help="the receipt file")
    parser.add_argument("--log", help="an exported log, instead of a receipt: its folder")
    parser.add_argument("--anchor", help="heads that were kept elsewhere, one JSON object a line; for --log")
    parser.add_argument("--key", required=True, help="file with the log's public keys: one a line, name+id+base64")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args(arguments)
    if (options.receipt is None) == (options.log is None) or (options.anchor and options.log is None):
        parser.error("name a receipt, or --log with or without --anchor")
    try:
        keys = parse_keys(read_file(options.key).decode("utf-8", "replace"))
        lines, proved = _verify_named(options, keys)
    except Refused as error:
        print(json.dumps({"verified": False, "reason": str(error)}) if options.json else f"REFUSED    {printable(str(error))}")
        return 1
    except Unusable as error:
        if options.json:
            print(json.dumps({"verified": None, "error": str(error)}))
        else:
            print(f"error      {error}", file=sys.stderr)
        return 2
    print(json.dumps(proved, indent=2) if options.json else "\n".join(map(printable, lines)))
    return 0


def _verify_named(options: argparse.Namespace, keys: list[VerifierKey]) -> tuple[list[str], dict[str, Any]]:
    if options.log is None:
        proved = verify(read_file(options.receipt), *keys)
        return write_lines(proved), proved
    folder = Path(options.log)
    if not folder.is_dir():
        raise Unusable(f"cannot read {options.log}: no such folder")
    anchors = read_anchors(read_whole(options.anchor)) if options.anchor else None
    proved = verify_log(folder, *keys, anchors=anchors)
    return write_log_lines(proved), proved


if __name__ == "__main__":
    sys.exit(main())
