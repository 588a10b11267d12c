"""`policy`: look at bundles, check them, compare them, and put them in force by two people."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id
from serving.cli.calls import ask_as, ask_or_fail
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

if TYPE_CHECKING:
    from gates.policy.bundle import PolicyBundle
    from gates.policy.diffing import BundleDiff

policy_app = typer.Typer(name="policy", help="What may happen, as versioned bundles of rules.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A bundle's folder.")]
Address = Annotated[str, typer.Argument(help="A registered bundle's address: 12 digits are enough.")]


@policy_app.command("validate")
def validate(directory: Folder, as_json: Json = False) -> None:
    """Check a bundle: hashes, syntax, schema, sentences, its own tests. Exit 0 sound, 1 findings, 2 unreadable."""
    from gates.policy.checking import validate_directory
    from gates.score.scorecard import load_scorecard

    try:
        report = validate_directory(directory, load_scorecard())
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(asdict(report))
    else:
        print_line(f"{report.version or directory}: {report.rules} rules, {report.cases} tests, address {report.sha256 or '-'}")
        for finding in report.findings:
            print_line(f"  {finding.code}: {finding.message}")
    sys.exit(1 if report.findings else 0)


@policy_app.command("test")
def run_tests(directory: Folder, as_json: Json = False) -> None:
    """Run a bundle's own tests. Exit 0 all passed, 1 one failed or there is none, 2 unreadable."""
    from gates.policy.bundle import load_bundle_directory
    from gates.policy.checking import CaseReport, run_bundle_tests
    from gates.score.scorecard import load_scorecard

    try:
        results = run_bundle_tests(load_bundle_directory(directory), load_scorecard())
    except TellergateError as error:
        _stop(error, as_json=as_json)
    failed = [result for result in results if not result.passed]
    if as_json:
        print_json(asdict(CaseReport(passed=len(results) - len(failed), failed=len(failed), cases=results)))
    else:
        for result in failed:
            print_line(f"{result.name}: expected {' '.join(result.expected)}, got {' '.join(result.got)}")
        print_line(f"{len(results) - len(failed)} of {len(results)} passed")
    sys.exit(0 if results and not failed else 1)


@policy_app.command("diff")
def diff(
    old: Annotated[str, typer.Argument(help="A folder, or `active` for the one in force.")],
    new: Annotated[str, typer.Argument(help="A folder, or `active`.")],
    count: Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many acts to try.")] = 2_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed tries the same acts.")] = 1,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Compare two bundles by their rules and by what they decide. Exit 0 the same, 1 different, 2 unreadable."""
    from gates.policy.diffing import diff_bundles
    from gates.score.scorecard import load_scorecard

    try:
        pair = [_load(name, as_user) for name in (old, new)]
        found = diff_bundles(pair[0], pair[1], scorecard=load_scorecard(), seed=seed, count=count)
    except TellergateError as error:
        _stop(error, as_json=as_json)
    if as_json:
        print_json(asdict(found))
    else:
        _print_diff(found)
    sys.exit(0 if found.is_empty() else 1)


@policy_app.command("seal")
def seal(directory: Folder, as_json: Json = False) -> None:
    """Write the files' hashes into bundle.json after an edit, and print the bundle's address."""
    from gates.policy.bundle import seal_bundle_directory

    try:
        sha256 = seal_bundle_directory(directory)
    except OSError as error:
        fail(InvalidInput(f"{directory}: {error.strerror}", code="unreadable_bundle"), as_json=as_json)
    except TellergateError as error:
        _stop(error, as_json=as_json)
    print_json({"sha256": sha256}) if as_json else print_line(sha256)


@policy_app.command("list")
def list_policies(as_user: AsUser = None, as_json: Json = False) -> None:
    """List registered bundles and the changes that people asked for."""
    answer = ask_or_fail("GET", "/api/v1/policies", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for row in answer["policies"]:
        share = f" {row['percent']} %" if row["percent"] else ""
        print_line(f"{row['sha256'][:12]}  {row['version']}  {row['state']}  {' '.join(row['aliases']) or '-'}{share}")
    for row in answer["changes"]:
        _print_change(row)


@policy_app.command("show")
def show(address: Address, as_user: AsUser = None, as_json: Json = False) -> None:
    """Show a registered bundle, its rules and what its shadow said; `active` is the one in force."""
    answer = ask_or_fail("GET", f"/api/v1/policies/{address}", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    print_line(f"{answer['version']}  {answer['sha256']}")
    for rule in answer["rules"]:
        print_line(f"  {rule['outcome']:<7} {rule['policy_id']}: {rule['reason']}, approvals {rule['approvals']}")
    for tally in answer["shadow"]:
        print_line(f"  shadow: {tally['decided']} -> {tally['shadow']}: {tally['decisions']}")


@policy_app.command("propose")
def propose(directory: Folder, as_user: AsUser = None, as_json: Json = False) -> None:
    """Register a bundle as a candidate. It decides nothing yet."""
    from gates.policy.bundle import load_bundle_directory

    try:
        content = load_bundle_directory(directory).content
    except TellergateError as error:
        _stop(error, as_json=as_json)
    body = {"manifest": dict(content["manifest"]), "files": dict(content["files"])}
    answer = ask_or_fail("POST", "/api/v1/policies", as_user, as_json=as_json, json=body)
    print_json(answer) if as_json else print_line(f"{answer['sha256']}  {answer['version']}  {answer['state']}")


@policy_app.command("activate")
def activate(
    address: Address,
    shadow: Annotated[bool, typer.Option("--shadow", help="Decide beside the one in force, without effect.")] = False,
    canary: Annotated[int | None, typer.Option("--canary", min=1, max=99, help="Decide this percent of all acts.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; needed above the drift that is set.")] = "",
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Ask for a bundle to be put in force. But for a shadow, a second administrator has to approve."""
    if shadow and canary is not None:
        fail(InvalidInput("say either --shadow or --canary", code="invalid_request"), as_json=as_json)
    target = "shadow" if shadow else "champion" if canary is None else "canary"
    body = {"target": target, "percent": canary, "reason": reason}
    _show_change(
        ask_or_fail("POST", f"/api/v1/policies/{address}/activate", as_user, as_json=as_json, json=body), as_json=as_json
    )


@policy_app.command("approve")
def approve(change_id: Annotated[str, typer.Argument(help="chg_…")], as_user: AsUser = None, as_json: Json = False) -> None:
    """Agree to a change as a second administrator: it takes effect at once."""
    _show_change(_answer(change_id, "approve", as_user, as_json=as_json), as_json=as_json)


@policy_app.command("refuse")
def refuse(change_id: Annotated[str, typer.Argument(help="chg_…")], as_user: AsUser = None, as_json: Json = False) -> None:
    """Refuse a change, or take back your own."""
    _show_change(_answer(change_id, "refuse", as_user, as_json=as_json), as_json=as_json)


@policy_app.command("rollback")
def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why.")], as_user: AsUser = None, as_json: Json = False
) -> None:
    """Put the bundle that stood directly before back in force. One administrator is enough."""
    answer = ask_or_fail("POST", "/api/v1/policy-rollback", as_user, as_json=as_json, json={"reason": reason})
    print_json(answer) if as_json else print_line(f"{answer['from_version']} -> {answer['to_version']}, in force now")


def _load(name: str, as_user: str | None) -> PolicyBundle:
    from gates.policy.bundle import load_bundle_content, load_bundle_directory

    if name != "active":
        return load_bundle_directory(Path(name))
    return load_bundle_content(ask_as(read_settings(), "GET", "/api/v1/policies/active", as_user)["content"])


def _answer(change_id: str, verdict: str, as_user: str | None, *, as_json: bool) -> dict[str, Any]:
    try:
        path = f"/api/v1/policy-changes/{require_id(change_id, 'chg')}/{verdict}"
    except TellergateError as error:
        fail(error, as_json=as_json)
    return ask_or_fail("POST", path, as_user, as_json=as_json)


def _stop(error: TellergateError, *, as_json: bool) -> NoReturn:
    """End with 2 for a bundle that does not load, as for any other input that is none."""
    from gates.policy.bundle import InvalidBundle

    fail(InvalidInput(error.message, code=error.code) if isinstance(error, InvalidBundle) else error, as_json=as_json)


def _show_change(row: dict[str, Any], *, as_json: bool) -> None:
    print_json(row) if as_json else _print_change(row)


def _print_change(row: dict[str, Any]) -> None:
    drift = f", drift {row['drift']['permille']} permille of {row['drift']['decisions']}" if row["drift"] else ""
    percent = f" {row['percent']} %" if row["percent"] else ""
    print_line(f"{row['change_id']}  {row['state']}  {row['target']}{percent}: {row['version']} by {row['requested_by']}{drift}")
    if row["decided_by"]:
        print_line(f"  {row['state']} by {row['decided_by']} at {row['decided_at']}")


def _print_diff(found: BundleDiff) -> None:
    for name, (before, after) in found.settings.items():
        print_line(f"setting {name}: {before} -> {after}")
    for rule in found.rules:
        word = "added" if rule.before is None else "removed" if rule.after is None else "changed"
        print_line(f"rule {rule.policy_id}: {word}")
    for change in found.outcomes:
        print_line(f"{change.kind}: {change.before} -> {change.after} for {change.acts} of {found.acts} acts")
    if found.reasons_changed:
        print_line(f"same outcome for other reasons: {found.reasons_changed} of {found.acts} acts")
    for example in found.examples[:5]:
        print_line(f"  {example.kind} with {', '.join(example.changed)}: {' '.join(example.before)} -> {' '.join(example.after)}")
    if found.is_empty():
        print_line(f"no difference in rules, settings and {found.acts} acts")
