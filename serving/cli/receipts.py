"""`receipts`: the whole log as files for an auditor, one receipt, its anchored head, and a new signing key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import Conflict, TellergateError, Unavailable
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.settings import Settings, read_settings

receipts_app = typer.Typer(
    name="receipts", help="What was decided and done, for whoever does not trust us.", no_args_is_help=True
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who acts. The token comes from TELLERGATE_TOKEN; the demo needs none.")]


class ReceiptPending(Unavailable):
    """Say that a decision may still be carried out, or that one of its records has no place in the log yet."""

    code = "receipt_pending"


@receipts_app.command("export")
def export(
    path: Annotated[Path, typer.Argument(help="A folder that is not there yet; with --decision, a file.")],
    decision: Annotated[str | None, typer.Option("--decision", help="Only the receipt of this decision.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of which tenant; this installation's own without it.")] = None,
    as_json: Json = False,
) -> None:
    """Write the log with its tiles and checkpoints, or one receipt, for `verify`. Reads as auditor; overwrites nothing."""
    try:
        answer = run_export(read_settings(), path, decision_id=decision, tenant_id=tenant)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    elif decision is None:
        print_line(f"exported   {answer['records']} records, {answer['checkpoints']} checkpoints, root {answer['root']}")
        print_line(f"verify     ./tellergate verify --log {path} --key {answer['key_file']} --anchor {answer['anchor_file']}")
    else:
        print_line(f"exported   {path}")


def run_export(settings: Settings, path: Path, *, decision_id: str | None, tenant_id: str | None) -> dict[str, Any]:
    """Export as role auditor. Raises: EmptyLog, FolderTaken, UnknownDecision, ReceiptPending, LogTampered, DatabaseDown."""
    from gates.receipts.export import export_receipt, render_receipt
    from gates.receipts.tiles import export_log
    from serving.cli.auditing import open_records
    from serving.wiring import ANCHOR_FOLDER, PUBLIC_KEY_FILE

    tenant = tenant_id or settings.tenant_id
    with open_records(settings, tenant) as connection:
        if decision_id is None:
            report = export_log(connection, path, tenant_id=tenant)
            return {
                "folder": str(report.folder),
                "records": report.records,
                "checkpoints": report.checkpoints,
                "root": report.root.hex(),
                "key_file": str(settings.var_dir / PUBLIC_KEY_FILE),
                "anchor_file": str(settings.var_dir / ANCHOR_FOLDER / f"{tenant}.jsonl"),
            }
        receipt = export_receipt(connection, decision_id)
    if receipt is None:
        raise ReceiptPending("the decision may still be carried out, or waits for its place in the log: try again in a second")
    _write_new(path, render_receipt(receipt))
    return {"file": str(path), "decision_id": decision_id, "records": len(receipt.records)}


def _write_new(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise Conflict(f"{path} is there already: name another file", code="file_taken") from None


@receipts_app.command("anchor")
def anchor(as_user: AsUser = None, as_json: Json = False) -> None:
    """Write the log's head to the anchor file now; the service does it every ten seconds."""
    _act("/api/v1/log/anchor", as_user, as_json=as_json, line="anchored   {tree_size} records, root {root}")


@receipts_app.command("rotate-key")
def rotate_key(as_user: AsUser = None, as_json: Json = False) -> None:
    """Sign with a new key from here on, as an administrator. What the old one signed still verifies."""
    _act(
        "/api/v1/log/rotate-key", as_user, as_json=as_json, line="rotated    {retired_key_id} -> {key_id} at {tree_size} records"
    )


def _act(path: str, as_user: str | None, *, as_json: bool, line: str) -> None:
    try:
        answer = ask_as(read_settings(), "POST", path, as_user, json={})
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        print_line(line.format(**answer))
