"""`ledger`: look at it, check it, and the operations on its machine: rebuild balances, archive a month."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import TellergateError
from serving.cli.arguments import require_printable
from serving.cli.client import ApiClient
from serving.cli.output import fail, print_json, print_line
from serving.settings import read_settings

DEFAULT_USERNAME = "ira"
ledger_app = typer.Typer(name="ledger", help="Accounts, balances, statements; checks and operations.", no_args_is_help=True)
AsUser = Annotated[str | None, typer.Option("--as", help="Who asks. The token comes from TELLERGATE_TOKEN; the demo needs none.")]
Operator = Annotated[str, typer.Option("--as", help="The administrator whose act this is; it goes on the record.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Code = Annotated[str, typer.Argument(help="An account code: customer:acc_…, house:fees:EUR")]
Currency = Annotated[str, typer.Argument(help="Such as EUR")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500)]


@ledger_app.command("accounts")
def show_accounts(
    prefix: Annotated[str, typer.Option("--prefix", help="Codes that begin so, such as house:")] = "",
    after: Annotated[str | None, typer.Option("--after", help="The last account of the page before: code/CUR.")] = None,
    limit: Limit = 100,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List accounts with their balances and flags."""
    answer = _ask("GET", "accounts", {"prefix": prefix, "after": after, "limit": limit}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for one in answer["items"]:
        flags = [name for name in ("rolled_up", "closed", "stopped") if one[name]]
        print_line(f"{_balance_line(one)}{'  ' + ', '.join(flags) if flags else ''}")
    if answer["next_after"]:
        print_line(f"more: --after {answer['next_after']}")


@ledger_app.command("balance")
def show_balance(
    code: Code,
    currency: Currency,
    at: Annotated[str | None, typer.Option("--at", help="RFC 3339: what was recorded until then counts.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Show an account's balance with what is held, now or at a time."""
    answer = _ask("GET", "balance", {"account": code, "currency": currency, "at": at}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    print_line(_balance_line(answer))


@ledger_app.command("statement")
def show_statement(
    code: Code,
    currency: Currency,
    after: Annotated[int | None, typer.Option("--after", min=0, help="Oldest first, from after this version.")] = None,
    before: Annotated[int | None, typer.Option("--before", min=0, help="Newest first, from before this version.")] = None,
    limit: Limit = 100,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Show a page of an account's statement, the newest lines first unless --after says where to begin."""
    query = {"account": code, "currency": currency, "after": after, "before": before, "limit": limit}
    answer = _ask("GET", "statement", query, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for one in answer["items"]:
        amount = one["amount_minor"] if one["side"] == "credit" else -one["amount_minor"]
        after_it = "" if one["balance_after_minor"] is None else f"  = {one['balance_after_minor']}"
        print_line(
            f"{one['version']}  {one['recorded_at']}  {one['kind']}  {one['code']}  {amount:+d}{after_it}  {one['other_account']}"
        )
    print_line(_balance_line(answer["balance"]))
    for option in ("after", "before"):
        if answer[f"next_{option}"] is not None:
            print_line(f"more: --{option} {answer[f'next_{option}']}")


@ledger_app.command("holds")
def show_holds(
    account: Annotated[str | None, typer.Option("--account", help="Of one account only.")] = None,
    limit: Limit = 100,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List open holds, the first due first."""
    answer = _ask("GET", "holds", {"account": account, "limit": limit}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for one in answer["items"]:
        until = one["expires_at"] or "no end"
        print_line(f"{one['transfer_id']}  {one['held_minor']} {one['currency']}  {one['debit']} -> {one['credit']}  {until}")


@ledger_app.command("trial-balance")
def show_trial_balance(as_user: AsUser = None, as_json: Json = False) -> None:
    """Show the posted sums of each currency. Exit 1 when debits and credits differ."""
    answer = _ask("GET", "trial-balance", {}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        for one in answer["items"]:
            sums = f"debits {one['debits_posted_minor']}, credits {one['credits_posted_minor']}"
            print_line(f"{one['currency']}  {sums}, difference {one['difference_minor']} (minor units)")
    sys.exit(1 if any(one["difference_minor"] for one in answer["items"]) else 0)


@ledger_app.command("check")
def check(as_user: AsUser = None, as_json: Json = False) -> None:
    """Check every invariant of the ledger, beside whatever is posted meanwhile. Exit 1 when one is broken."""
    answer = _ask("POST", "checks", {}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        took_ms = sum(answer["took_ms"].values())
        print_line(f"{answer['transfers']:,} transfers, {answer['accounts']:,} accounts checked in {took_ms:,} ms")
        for one in answer["findings"]:
            stopped = f", stopped {', '.join(one['stopped'])}" if one["stopped"] else ""
            print_line(f"  {one['finding']}: {one['subject']} ({one['case_id']}{stopped})")
        print_line("nothing found" if not answer["findings"] else f"{len(answer['findings'])} findings")
    sys.exit(1 if answer["findings"] else 0)


@ledger_app.command("rebuild-balances")
def rebuild(
    as_user: Operator,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Left out: the workspace of this installation.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Put the rebuilt balances in use; postings wait that long.")] = False,
    as_json: Json = False,
) -> None:
    """Rebuild balances, versions and held sums from the entries and compare the hashes. Exit 1 when they differ."""
    from serving.cli.ledger_machine import run_rebuild

    try:
        answer = run_rebuild(read_settings(), tenant_id=tenant, username=require_printable("--as", as_user), apply=apply)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        print_line(f"in use   {answer['hash_before']}")
        print_line(f"rebuilt  {answer['hash_rebuilt']}")
        used = "; the rebuilt balances are in use" if answer["applied"] else ""
        print_line(f"{answer['accounts']:,} accounts, {answer['differing']:,} differ{used}")
    sys.exit(1 if answer["differing"] and not answer["applied"] else 0)


@ledger_app.command("archive")
def archive(
    month: Annotated[str, typer.Argument(help="A past month, such as 2026-01.")],
    to: Annotated[Path, typer.Option("--to", help="The folder of the archive's files.")],
    as_user: Operator,
    drop: Annotated[bool, typer.Option("--drop", help="Then let go of the part in the database, if its file is whole.")] = False,
    as_json: Json = False,
) -> None:
    """Export a past month's transfers, check the file, and take them out of the ledger; balances and checks stay as they are."""
    from serving.cli.ledger_machine import run_archive

    try:
        answer = run_archive(read_settings(), month=month, folder=to, username=require_printable("--as", as_user), drop=drop)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        dropped = ", dropped from the database" if answer["dropped"] else ""
        print_line(f"{answer['month']}: {answer['transfers']:,} transfers in {answer['file']}{dropped}")
        print_line(f"SHA-256 {answer['sha256']}")


def _ask(method: str, name: str, query: Mapping[str, Any], as_user: str | None, *, as_json: bool) -> dict[str, Any]:
    try:
        username = None if as_user is None else require_printable("--as", as_user)
        given = {key: value for key, value in query.items() if value is not None}
        client = ApiClient(read_settings())
        client.sign_in(username or DEFAULT_USERNAME, must_be=username)
        answer: dict[str, Any] = client.call(method, f"/api/v1/ledger/{name}", params=given)
    except TellergateError as error:
        fail(error, as_json=as_json)
    return answer


def _balance_line(one: Mapping[str, Any]) -> str:
    held = one["debits_pending_minor"], one["credits_pending_minor"]
    pending = f", held {held[0]} out and {held[1]} in" if any(held) else ""
    return f"{one['code']}/{one['currency']}  {one['balance_minor']} minor units{pending}, version {one['version']}"
