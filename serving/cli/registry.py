"""`registry`: every versioned artifact in one place: what is in force, what waits, and how two people change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id
from serving.cli.calls import ask_as, ask_or_fail
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

registry_app = typer.Typer(
    name="registry", help="Policies, scores, baselines, prompts, models, lists: what is in force.", no_args_is_help=True
)
Kind = Annotated[str, typer.Argument(help="policy, score, baseline, prompt, language_model, ner, ocr, list or thresholds.")]
Name = Annotated[str, typer.Argument(help="As `registry list` shows it.")]
Address = Annotated[str, typer.Argument(help="The version's hash: 12 digits are enough.")]
ChangeId = Annotated[str, typer.Argument(help="chg_…")]
_POLICY = "policy"
_MODEL_FORMATS = ("tellergate-scorecard/", "tellergate-trees/", "tellergate-baselines/")


@registry_app.command("list")
def list_registry(
    kind: Annotated[str | None, typer.Option("--kind", help="This kind only.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List every version by kind and name, and the changes that wait for a second person."""
    answer = ask_or_fail("GET", "/api/v1/registry", as_user, as_json=as_json)
    names = [held for held in answer["names"] if kind is None or held["kind"] == kind]
    if as_json:
        print_json({"names": names})
        return
    for held in names:
        print_line(f"{held['kind']} {held['name']}")
        for row in held["versions"]:
            share = f" {row['percent']} %" if row["percent"] else ""
            print_line(f"  {row['sha256'][:12]}  {row['version']}  {row['state']}  {' '.join(row['aliases']) or '-'}{share}")
        for row in held["changes"]:
            if row["state"] == "open":
                _print_change(row)


@registry_app.command("show")
def show(kind: Kind, name: Name, address: Address, as_user: AsUser = None, as_json: Json = False) -> None:
    """Show one version: where it is, what it was made from, how its name moved, what it said in the shadow."""
    answer = ask_or_fail("GET", f"/api/v1/registry/{kind}/{name}/{address}", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    print_line(f"{answer['kind']} {answer['name']} {answer['version']}  {answer['state']}  {' '.join(answer['aliases']) or '-'}")
    print_line(f"  {answer['sha256']} at {answer['location']}")
    for key, value in sorted(answer["lineage"].items()):
        print_line(f"  {key}: {value if isinstance(value, str | int) else json.dumps(value, sort_keys=True)}")
    for move in answer["moves"]:
        print_line(
            f"  {move['moved_at']}  {move['alias']}: {move['from_version'] or 'nothing'} -> {move['to_version']}"
            f" by {move['moved_by']}, approved by {move['approved_by']}: {move['reason']}"
        )
    for tally in answer["shadow"]:
        print_line(f"  shadow: {tally['decided']} -> {tally['shadow']}: {tally['decisions']}")


@registry_app.command("propose")
def propose(
    path: Annotated[
        Path, typer.Argument(help="A bundle's folder, a file that training wrote, or any file or folder to measure.")
    ],
    kind: Annotated[str | None, typer.Option("--kind", help="Of a file to measure: language_model, ner, prompt, …")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of a file to measure: chat, embeddings, names, …")] = None,
    label: Annotated[str | None, typer.Option("--label", help="What people call this version; default the path's name.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Register a version as a candidate. It does nothing yet; of a file or folder only the hash is handed over."""
    try:
        route, body = _read_candidate(path, kind=kind, name=name, label=label)
    except TellergateError as error:
        fail(error if isinstance(error, InvalidInput) else InvalidInput(error.message, code=error.code), as_json=as_json)
    answer = ask_or_fail("POST", route, as_user, as_json=as_json, json=body)
    print_json(answer) if as_json else print_line(f"{answer['sha256']}  {answer['version']}  {answer['state']}")


@registry_app.command("activate")
def activate(
    kind: Kind,
    name: Name,
    address: Address,
    shadow: Annotated[bool, typer.Option("--shadow", help="Beside the one in force, without effect: policy and score.")] = False,
    canary: Annotated[
        int | None, typer.Option("--canary", min=1, max=99, help="For this percent: policy, score, baseline.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; a policy needs it above its drift, all others always.")] = "",
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Ask for a version to be put in force. But for a shadow, a second administrator has to approve."""
    if shadow and canary is not None:
        fail(InvalidInput("say either --shadow or --canary", code="invalid_request"), as_json=as_json)
    target = "shadow" if shadow else "champion" if canary is None else "canary"
    body = {"target": target, "percent": canary, "reason": reason}
    route = f"/api/v1/policies/{address}/activate" if kind == _POLICY else f"/api/v1/registry/{kind}/{name}/{address}/activate"
    _show_change(ask_or_fail("POST", route, as_user, as_json=as_json, json=body), as_json=as_json)


@registry_app.command("approve")
def approve(change_id: ChangeId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Agree to a change as a second administrator. A file takes effect at the next start, all else at once."""
    _show_change(_answer(change_id, "approve", as_user, as_json=as_json), as_json=as_json)


@registry_app.command("refuse")
def refuse(change_id: ChangeId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Refuse a change, or take back your own."""
    _show_change(_answer(change_id, "refuse", as_user, as_json=as_json), as_json=as_json)


@registry_app.command("rollback")
def rollback(
    kind: Kind,
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Put the version that stood directly before back in force. One administrator is enough."""
    route = "/api/v1/policy-rollback" if kind == _POLICY else f"/api/v1/registry/{kind}/{name}/rollback"
    answer = ask_or_fail("POST", route, as_user, as_json=as_json, json={"reason": reason})
    print_json(answer) if as_json else print_line(f"{answer['from_version']} -> {answer['to_version']}")


def register_trained(file: Path, as_user: str | None) -> dict[str, Any]:
    """Register what training wrote, with its lineage, as a candidate. Raises: TellergateError."""
    route, body = _read_model(file)
    return ask_as(read_settings(), "POST", route, as_user, json=body)


def _read_candidate(path: Path, *, kind: str | None, name: str | None, label: str | None) -> tuple[str, dict[str, Any]]:
    from gates.policy.bundle import load_bundle_directory
    from storage.artifact_files import hash_path

    if kind is not None or name is not None:
        if kind is None or name is None:
            raise InvalidInput("a file to measure needs both --kind and --name", code="invalid_request")
        body = {"kind": kind, "name": name, "label": label or path.resolve().name, "sha256": hash_path(path)}
        return "/api/v1/registry/files", {**body, "location": path.name}
    if (path / "bundle.json").is_file():
        content = load_bundle_directory(path).content
        return "/api/v1/policies", {"manifest": dict(content["manifest"]), "files": dict(content["files"])}
    return _read_model(path)


def _read_model(path: Path) -> tuple[str, dict[str, Any]]:
    beside = path.with_suffix(".lineage.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        lineage = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path}: neither a bundle's folder nor a JSON file ({error})", code="unreadable_artifact") from error
    if not isinstance(content, dict) or not str(content.get("format")).startswith(_MODEL_FORMATS):
        raise InvalidInput(f"{path}: no score or baselines; any other file needs --kind and --name", code="unknown_format")
    return "/api/v1/registry/models", {"content": content, "lineage": lineage}


def _answer(change_id: str, verdict: str, as_user: str | None, *, as_json: bool) -> dict[str, Any]:
    try:
        path = f"/api/v1/policy-changes/{require_id(change_id, 'chg')}/{verdict}"
    except TellergateError as error:
        fail(error, as_json=as_json)
    return ask_or_fail("POST", path, as_user, as_json=as_json)


def _show_change(row: dict[str, Any], *, as_json: bool) -> None:
    print_json(row) if as_json else _print_change(row)


def _print_change(row: dict[str, Any]) -> None:
    percent = f" {row['percent']} %" if row["percent"] else ""
    print_line(f"  {row['change_id']}  {row['state']}  {row['target']}{percent}: {row['version']} by {row['requested_by']}")
    if row["decided_by"]:
        print_line(f"    {row['state']} by {row['decided_by']} at {row['decided_at']}")
