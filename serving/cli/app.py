"""The commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from domain.errors import TellergateError
from serving.cli.backup import backup_app, restore
from serving.cli.bank import bank_app
from serving.cli.cases import cases_app
from serving.cli.decide import decide
from serving.cli.digest import digest
from serving.cli.erase import erase_subject
from serving.cli.events import events
from serving.cli.explain import explain
from serving.cli.features import features_app
from serving.cli.freeze import freeze_app, thaw
from serving.cli.incidents import incidents_app
from serving.cli.keys import keys_app
from serving.cli.leaks import leaks_app
from serving.cli.ledger import ledger_app
from serving.cli.mask import mask, unmask
from serving.cli.output import fail, print_json, say
from serving.cli.policy import policy_app
from serving.cli.propose import propose
from serving.cli.receipts import receipts_app
from serving.cli.reconcile import reconcile_app
from serving.cli.registry import registry_app
from serving.cli.replay import backtest, replay
from serving.cli.reveals import reveals_app
from serving.cli.review import review_app
from serving.cli.settlement import settlement_app
from serving.cli.train import train_app
from serving.settings import read_settings

app = typer.Typer(
    name="tellergate",
    help="Agents propose, a deterministic gate decides, only the ledger moves money.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(backup_app, name="backup")
app.command()(restore)
app.add_typer(bank_app, name="bank")
app.add_typer(ledger_app, name="ledger")
app.add_typer(cases_app, name="cases")
app.add_typer(incidents_app, name="incidents")
app.add_typer(review_app, name="review")
app.add_typer(freeze_app, name="freeze")
app.add_typer(features_app, name="features")
app.command()(thaw)
app.command()(digest)
app.add_typer(receipts_app, name="receipts")
app.command()(explain)
app.command()(replay)
app.command()(backtest)
app.add_typer(policy_app, name="policy")
app.add_typer(registry_app, name="registry")
app.add_typer(reconcile_app, name="reconcile")
app.add_typer(settlement_app, name="settlement")
app.add_typer(train_app, name="train")
app.command()(events)
app.command()(propose)
app.command()(decide)
app.add_typer(keys_app, name="keys")
app.add_typer(reveals_app, name="reveals")
app.add_typer(leaks_app, name="leaks")
app.command("erase-subject")(erase_subject)
app.command()(mask)
app.command()(unmask)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who acts. The token comes from TELLERGATE_TOKEN; the demo needs none.")]


@app.command()
def up() -> None:
    """Start everything, print the address and the demo logins, stop it all with Ctrl-C."""
    from serving.cli.up import run_up

    try:
        run_up(read_settings())
    except TellergateError as error:
        fail(error, as_json=False)


@app.command()
def ask(
    customer: Annotated[str, typer.Option("--customer", help="The customer's id.")],
    message: Annotated[str, typer.Option("--message", help="What to ask; - reads standard input.")],
    as_user: AsUser = None,
    conversation: Annotated[str | None, typer.Option(help="Go on in this conversation about the customer.")] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Same key, same message: same answer, nothing twice.")
    ] = None,
    with_model: Annotated[bool, typer.Option("--with-model", help="Without a running service: start the models too.")] = False,
    as_json: Json = False,
) -> None:
    """Ask about a customer; with no service running, start what is needed, answer, stop."""
    from serving.cli.ask import print_answer, read_request, run_ask

    try:
        request = read_request(
            customer=customer, message=message, username=as_user, conversation=conversation, idempotency_key=key
        )
        answer = run_ask(read_settings(), request, with_model=with_model)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        print_answer(answer)


@app.command()
def verify(
    key: Annotated[Path, typer.Option("--key", help="The public key file.")],
    receipt: Annotated[Path | None, typer.Argument(help="The receipt file.")] = None,
    log: Annotated[Path | None, typer.Option("--log", help="An exported log instead: its folder.")] = None,
    anchor: Annotated[Path | None, typer.Option("--anchor", help="With --log: heads that were kept elsewhere.")] = None,
    as_json: Json = False,
) -> None:
    """Verify a receipt or a log offline: no database, no network, no service. Exit 0 verified, 1 refused, 2 could not try."""
    from gates.standalone.verify_receipt import main as verify_main

    given = {"--log": log, "--anchor": anchor}
    options = [part for name, path in given.items() if path is not None for part in (name, str(path))]
    named = [] if receipt is None else [str(receipt)]
    sys.exit(verify_main([*named, *options, "--key", str(key), *(["--json"] if as_json else [])]))


@app.command()
def ingest(
    file: Annotated[Path, typer.Argument(help="JSONL or CSV.")],
    kind: Annotated[str, typer.Option("--kind", help="customers, accounts, cards, merchants, transactions, …")],
    file_format: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--format", help="Where the file's name does not say it.")
    ] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Take a JSONL or CSV file of records in. Idempotent.

    Bad rows go to quarantine with line and reason, the rest goes on. Exit 2 if every row is bad.
    """
    from serving.cli.ingest import IngestOrder, is_all_bad, print_report, run_ingest

    try:
        order = IngestOrder(file=file, kind=kind, file_format=file_format, username=as_user)
        report = run_ingest(read_settings(), order)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(report)
    else:
        print_report(report)
    sys.exit(2 if is_all_bad(report) else 0)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is missing or wrong, and how to mend it. Exit 1 if anything is."""
    from serving.cli.doctor import print_findings, run_doctor

    findings = run_doctor()
    if as_json:
        print_json({"findings": [finding.model_dump() for finding in findings]})
    else:
        print_findings(findings)
    sys.exit(1 if any(finding.level == "wrong" for finding in findings) else 0)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Check style, types, arrows and SQL, then run the tests. Arguments go to pytest and leave the checks out."""
    from serving.cli.testing import run_tests

    try:
        sys.exit(run_tests(context.args))
    except TellergateError as error:
        fail(error, as_json=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(
    context: typer.Context, name: Annotated[str, typer.Argument(help="answers, features, gate, ledger, reconciliation, recovery")]
) -> None:
    """Measure and print figures; --json for a program."""
    from serving.cli.testing import run_bench

    try:
        sys.exit(run_bench(name, context.args))
    except TellergateError as error:
        fail(error, as_json="--json" in context.args)


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="./tellergate")
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
