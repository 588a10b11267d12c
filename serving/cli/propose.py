"""`propose`: propose an act yourself, in your own conversation, without the agent. The gate decides."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import typer

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id
from domain.money import parse_decimal
from domain.proposal import ActionKind
from serving.cli.arguments import require_header_value, require_printable
from serving.cli.ask import DEFAULT_USERNAME
from serving.cli.client import ApiClient
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

_KINDS = ", ".join(kind.value for kind in ActionKind if kind is not ActionKind.UNLISTED)


def propose(
    kind: Annotated[ActionKind, typer.Argument(help=_KINDS, metavar="KIND", show_choices=False)],
    conversation: Annotated[str, typer.Option("--conversation", help="Your own conversation about the customer: cnv_…")],
    reason_code: Annotated[str, typer.Option("--reason-code", help="bill, duplicate_charge, customer_request, …")],
    transaction: Annotated[str | None, typer.Option("--transaction", help="A handle of the conversation: T1.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="A1.")] = None,
    beneficiary: Annotated[str | None, typer.Option("--beneficiary", help="B1.")] = None,
    card: Annotated[str | None, typer.Option("--card", help="C1.")] = None,
    dispute: Annotated[str | None, typer.Option("--dispute", help="D1.")] = None,
    hold: Annotated[str | None, typer.Option("--hold", help="H1.")] = None,
    case: Annotated[str | None, typer.Option("--case", help="K1.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="12.50")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="EUR")] = None,
    details: Annotated[str | None, typer.Option("--details", help="A payee's new account number; stored as a token.")] = None,
    verdict: Annotated[str | None, typer.Option("--verdict", help="clear, review or reject.")] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Same key, same proposal: same answer, nothing twice.")
    ] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Propose an act yourself. Exit 0 when the gate decided it, whatever it said; 1 when it could not be proposed."""
    given = {
        "transaction": transaction, "account": account, "beneficiary": beneficiary, "card": card, "dispute": dispute,
        "hold": hold, "case": case, "details": details, "verdict": verdict,
    }  # fmt: skip
    try:
        arguments = {name: require_printable(f"--{name}", value) for name, value in given.items() if value is not None}
        body = {"kind": kind.value, "arguments": arguments | _read_money(amount, currency) | {"reason_code": reason_code}}
        path = f"/api/v1/conversations/{require_id(conversation, 'cnv')}/proposals"
        client = ApiClient(read_settings())
        client.sign_in(as_user or DEFAULT_USERNAME, must_be=as_user)
        used_key = uuid4().hex if key is None else require_header_value("--idempotency-key", key)
        answer = client.call("POST", path, json=body, headers={"Idempotency-Key": used_key})
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        _print_action(answer)


def _read_money(amount: str | None, currency: str | None) -> dict[str, Any]:
    if amount is None and currency is None:
        return {}
    if amount is None or currency is None:
        raise InvalidInput("--amount and --currency belong together", code="invalid_option")
    money = parse_decimal(amount, currency)
    return {"amount_minor": money.amount_minor, "currency": money.currency}


def _print_action(action: dict[str, Any]) -> None:
    print_line(f"proposed: {action['proposal']['kind']}  {action['proposal']['proposal_id']}")
    decided = action["decided"]
    if decided is None:
        print_line(f"not decided yet: {action['undecided']['text']}")
        return
    print_line(f"decision: {decided['decision']['outcome']}  {decided['decision']['decision_id']}")
    for reason in decided["reasons"]:
        print_line(f"  {reason['code']}: {reason['text']}")
    if decided["review"]:
        print_line(f"waits for review {decided['review']['review_id']}")
    posting = decided["posting"]
    if posting:
        print_line(f"posted: {posting['amount_minor']} {posting['currency']} minor units, transfer {posting['transfer_id']}")
