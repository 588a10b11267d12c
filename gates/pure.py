"""Decide one document: proposal, facts and context in, a decision out. No database, no clock; same bytes in, same bytes out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema

from domain.clock import require_utc
from domain.decision import Decision, Outcome, Reason
from domain.errors import InvalidInput
from domain.proposal import ActionKind, ModelTrace, Proposal, ProposedArguments
from gates.context import MAX_ENTRIES, MAX_TEXT, DocumentContext, RecordEntry, read_context
from gates.decide import DecisionInput, FactValue, decide_action
from gates.fees import read_fees
from gates.origins import compute_origins
from gates.policy.bundle import PolicyBundle, load_bundle_content, load_bundle_directory
from gates.resolution import ResolvedIds, make_action
from gates.score.model import ScoreModel, score_facts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MALFORMED = Reason(code="malformed_proposal", outcome=Outcome.DENY, policy_id="gate")
_NO_TRACE = ModelTrace(
    prompt_id="none", prompt_sha256="0" * 64, masked_prompt_sha256="0" * 64, model="none", generated_by="template"
)
_Name = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
_MOMENT: TypeAdapter[datetime] = TypeAdapter(datetime)


_FACT_SCHEMA = {"type": ["boolean", "integer", "string", "null"]}
_PROPOSAL_SCHEMA = {
    "type": "object",
    "required": ["kind", "arguments"],
    "description": "As in proposal.schema.json. Ids, trace and submitted_at may be left out; what is malformed is denied.",
    "properties": {"kind": {"type": "string"}, "arguments": {"type": "object"}},
}
_FACTS_SCHEMA = {
    "type": "object",
    "description": 'The catalog of docs/facts.md, flat ("group.fact": value) or nested by group. What is missing is a review.',
    "additionalProperties": {"anyOf": [_FACT_SCHEMA, {"type": "object", "additionalProperties": _FACT_SCHEMA}]},
}
_CONTEXT_SCHEMA = {
    "type": "array",
    "maxItems": MAX_ENTRIES,
    "items": {
        "type": "object",
        "required": ["origin"],
        "oneOf": [{"required": ["text"]}, {"required": ["record"]}],
        "additionalProperties": False,
        "properties": {
            "origin": {"enum": ["ledger", "kyc_verified", "staff", "customer_text", "document", "knowledge_base"]},
            "text": {"type": "string", "maxLength": MAX_TEXT},
            "record": {
                "type": "object",
                "description": "Exactly these fields of ledger or kyc_verified. Any of another: they are its words.",
                "properties": RecordEntry.model_json_schema()["properties"],
            },
        },
    },
}
_POLICY_SCHEMA = {
    "description": "A bundle instead of the one given to the command: its content, or the folder that holds it.",
    "anyOf": [
        {"type": "object", "required": ["manifest", "files"]},
        {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}},
        {"type": "null"},
    ],
}


class DecideInput(BaseModel):
    """Hold one document. `facts` are flat, `"group.fact": value`, or nested by group; see docs/schemas/decide-input.schema.json.

    `proposal` and `facts` are judged, not refused: what is wrong with them is a deny or a review.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    proposal: Annotated[Any, WithJsonSchema(_PROPOSAL_SCHEMA)]
    facts: Annotated[dict[str, Any], WithJsonSchema(_FACTS_SCHEMA)]
    context: Annotated[list[Any], WithJsonSchema(_CONTEXT_SCHEMA)] = []
    policy: Annotated[dict[str, Any] | None, WithJsonSchema(_POLICY_SCHEMA)] = None
    now: Annotated[str | None, WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]})] = None
    tenant_id: _Name = "document"
    operator_id: _Name = "opr_document"
    customer_id: _Name | None = None


@dataclass(frozen=True, slots=True)
class _ReadProposal:
    """Hold what could be read of a proposal; `proposal` is None when it is malformed."""

    proposal_id: str
    kind: ActionKind
    proposal: Proposal | None


def decide_document(document: Mapping[str, Any], *, bundle: PolicyBundle, scorecard: ScoreModel) -> Decision:
    """Decide. Its own `policy` stands before `bundle`. The id is of the document, the time is its `now`, its proposal's, or 1970.

    Raises: InvalidInput for a document that is none, InvalidBundle for its policy.
    """
    digest = _digest_document(document)
    try:
        given = DecideInput.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InvalidInput(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    chosen = bundle if given.policy is None else load_document_bundle(given.policy)
    read = _read_proposal(given, digest)
    arguments = None if read.proposal is None else read.proposal.arguments
    context = read_context(given.context, arguments, read_fees(chosen))
    facts = _flatten(given.facts)
    if arguments is not None:
        facts["grant.granted"] = context.is_granted(arguments) and facts.get("grant.granted", True)
    request = DecisionInput(
        decision_id=f"dec_{digest[:32]}",
        action=make_action(
            tenant_id=given.tenant_id,
            proposal_id=read.proposal_id,
            kind=read.kind,
            arguments=arguments,
            ids=_find_ids(arguments, context, given.customer_id),
        ),
        operator_id=given.operator_id,
        origins=() if arguments is None else compute_origins(arguments, context.origins),
        facts=facts,
        score=score_facts(facts, scorecard),
        trace=_NO_TRACE if read.proposal is None else read.proposal.trace,
        closing_reason=_MALFORMED if read.proposal is None else None,
    )
    return decide_action(request, chosen, now=_find_time(given, read))


def load_document_bundle(policy: Any) -> PolicyBundle:
    """Load a document's own bundle: `{"path": DIR}`, or its content `{"manifest": …, "files": {…}}`. Raises: InvalidBundle."""
    if isinstance(policy, Mapping) and set(policy) == {"path"} and isinstance(policy["path"], str):
        return _load_directory(policy["path"])
    if not isinstance(policy, Mapping):
        raise InvalidInput("policy: an object with either path, or manifest and files")
    return _load_inline(json.dumps(policy, sort_keys=True))


@lru_cache(maxsize=16)
def _load_inline(text: str) -> PolicyBundle:
    return load_bundle_content(json.loads(text))


@lru_cache(maxsize=16)
def _load_directory(path: str) -> PolicyBundle:
    return load_bundle_directory(Path(path))


def _digest_document(document: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the document is no JSON: {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _read_proposal(given: DecideInput, digest: str) -> _ReadProposal:
    """Read the proposal. Ids, trace and time may be left out: then they are made from the document."""
    fallback = f"prp_{digest[:32]}"
    raw = given.proposal if isinstance(given.proposal, dict) else {}
    kind = ActionKind(raw["kind"]) if isinstance(raw.get("kind"), str) and raw["kind"] in set(ActionKind) else ActionKind.UNLISTED
    proposal_id = raw.get("proposal_id", fallback)
    usable = isinstance(proposal_id, str) and re.fullmatch(r"prp_[0-9a-f]{32}", proposal_id) is not None
    completed = {
        "proposal_id": fallback,
        "conversation_id": f"cnv_{digest[:32]}",
        "message_id": f"msg_{digest[:32]}",
        "trace": _NO_TRACE,
        "submitted_at": _EPOCH,
        **raw,
        "tenant_id": given.tenant_id,
        "kind": kind,
    }
    try:
        proposal = Proposal.model_validate(completed)
        require_utc(proposal.submitted_at)
    except (ValidationError, InvalidInput):
        proposal = None
    if raw.get("tenant_id", given.tenant_id) != given.tenant_id:
        proposal = None
    return _ReadProposal(proposal_id if usable else fallback, kind, proposal)


def _find_time(given: DecideInput, read: _ReadProposal) -> datetime:
    if given.now is None:
        return _EPOCH if read.proposal is None else read.proposal.submitted_at
    try:
        return require_utc(_MOMENT.validate_python(given.now))
    except (ValidationError, InvalidInput):
        raise InvalidInput("now: an RFC 3339 time with its offset, such as 2026-11-22T08:00:00Z") from None


def _flatten(facts: Mapping[str, Any]) -> dict[str, FactValue]:
    """Bring nested groups into the flat form. A value that is no fact stays, and `decide_action` makes a doubt of it."""
    flat: dict[str, FactValue] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{fact}": inner for fact, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _find_ids(arguments: ProposedArguments | None, context: DocumentContext, customer_id: str | None) -> ResolvedIds:
    if arguments is None or not context.is_granted(arguments):
        return ResolvedIds(customer_id=customer_id)
    record = {name: context.records.get(handle) for name, handle in arguments.to_record().items() if isinstance(handle, str)}
    source = record.get("transaction") or record.get("dispute") or record.get("hold")
    account, beneficiary = record.get("account"), record.get("beneficiary")
    subject = record.get("dispute") or record.get("hold") or record.get("card") or record.get("case")
    transaction = record.get("transaction")
    hold = record.get("hold")
    owners = [known.customer_id for known in record.values() if known is not None and known.customer_id is not None]
    return ResolvedIds(
        customer_id=customer_id or next(iter(owners), None),
        transaction_id=transaction.id if transaction else source.transaction_id if source else None,
        account_id=account.id if account else source.account_id if source else None,
        merchant_id=source.merchant_id if source else None,
        beneficiary_id=beneficiary.id if beneficiary else None,
        subject_id=subject.id if subject else None,
        hold_minor=hold.amount_minor if hold else None,
        hold_currency=hold.currency if hold else None,
    )
