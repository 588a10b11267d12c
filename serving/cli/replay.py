"""`replay` and `backtest`: history decided again, as an auditor on this machine; nothing of it has an effect."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import InvalidInput, TellergateError
from serving.cli.output import fail, print_json, print_line, say
from serving.settings import Settings, read_settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
From = Annotated[str | None, typer.Option("--from", help="RFC 3339 or a date: decisions from then on.")]
To = Annotated[str | None, typer.Option("--to", help="RFC 3339 or a date: decisions before then.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Of which tenant; this installation's own without it.")]
_SAY_EVERY_S = 2.0


def replay(since: From = None, until: To = None, tenant: Tenant = None, as_json: Json = False) -> None:
    """Decide history again under its own bundles. Exit 0: the same, byte for byte; 1: a difference, and it is named."""
    try:
        answer = run_replay(read_settings(), since=since, until=until, tenant_id=tenant)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        _print_replay(answer)
    sys.exit(0 if answer["is_identical"] else 1)


def backtest(
    policy: Annotated[Path, typer.Option("--policy", help="The folder of the bundle to try.")],
    since: From = None,
    until: To = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Show what another policy would have changed: decisions, counts and money, by rule. Nothing is activated."""
    try:
        answer = run_backtest(read_settings(), policy=policy, since=since, until=until, tenant_id=tenant)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        _print_backtest(answer)


def run_replay(settings: Settings, *, since: str | None, until: str | None, tenant_id: str | None) -> dict[str, Any]:
    """Replay; of this process, everything but the database is shut off for good. Raises: TellergateError."""
    from gates.replay.reading import Window, count_decisions, iter_decisions, load_bundles, load_models
    from gates.replay.replay import replay_decisions
    from serving.cli.auditing import open_records, shut_doors

    window = Window(since=read_moment("--from", since), until=read_moment("--to", until))
    with open_records(settings, tenant_id) as connection:
        shut_doors(settings.secrets_dir)
        bundles, broken = load_bundles(connection)
        models = load_models(connection)
        total = count_decisions(connection, window)
        report = replay_decisions(iter_decisions(connection, window), bundles, models, on_progress=_make_progress(total))
    problems = [*report.problems, *(f"bundle {sha256}: {why}" for sha256, why in broken.items())]
    return {"is_identical": report.is_identical, **asdict(report), "problems": problems}


def run_backtest(
    settings: Settings, *, policy: Path, since: str | None, until: str | None, tenant_id: str | None
) -> dict[str, Any]:
    """Backtest, shut off in the same way. Raises: InvalidBundle, TellergateError."""
    from gates.policy.bundle import load_bundle_directory
    from gates.replay.backtest import backtest as decide_again
    from gates.replay.backtest import drift_of
    from gates.replay.reading import Window, count_decisions, iter_decisions
    from serving.cli.auditing import open_records, shut_doors

    bundle = load_bundle_directory(policy)
    window = Window(since=read_moment("--from", since), until=read_moment("--to", until))
    with open_records(settings, tenant_id) as connection:
        shut_doors(settings.secrets_dir)
        total = count_decisions(connection, window)
        report = decide_again(iter_decisions(connection, window), bundle, on_progress=_make_progress(total))
    return {"drift_permille": drift_of(report), **asdict(report)}


def read_moment(option: str, text: str | None) -> datetime | None:
    """Read a time; a date is its first moment in UTC. Raises: InvalidInput that names the option."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{option} must be a date or a time such as 2026-03-01T08:00:00Z, got {text!r}", code="invalid_time"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _make_progress(total: int) -> Callable[[int], None]:
    started = said = time.monotonic()

    def tell(done: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SAY_EVERY_S:
            said = now
            left_s = int((now - started) * (total - done) // max(1, done))
            say(f"{done} of {total} decisions, about {left_s} s to go")

    return tell


def _print_replay(answer: dict[str, Any]) -> None:
    verdict = "identical, byte for byte" if answer["is_identical"] else f"{answer['differing']} DIFFER"
    print_line(f"replayed   {answer['decisions']} decisions: {verdict}")
    print_line(f"scores     {answer['rescored']} computed again")
    print_line(f"digest     {answer['digest']}")
    for problem in answer["problems"]:
        print_line(f"undecided  {problem}")
    for one in answer["differences"]:
        print_line(f"differs    {one['decision_id']} {one['where']}.{one['field']}: {one['recorded']!r} -> {one['replayed']!r}")


def _print_backtest(answer: dict[str, Any]) -> None:
    print_line(
        f"compared   {answer['compared']} of {answer['decisions']} decisions ({answer['settled']} settled by people or time,"
        f" {answer['undecidable']} whose facts the new policy cannot judge)"
    )
    print_line(f"changed    {answer['changed']} outcomes ({answer['drift_permille']} per mille)")
    print_line(f"           {answer['other_reasons']} others for other reasons")
    for change in answer["changes"]:
        print_line(f"  {change['before']} -> {change['after']}: {change['decisions']}, {_write_money(change['exposure_minor'])}")
    for rule in answer["rules"]:
        print_line(
            f"rule       {rule['policy_id']} ({rule['reason']}, {rule['outcome']}) {rule['effect']}:"
            f" {rule['decisions']} decisions, {rule['proposals']} proposals, {_write_money(rule['exposure_minor'])}"
        )
    for word in ("newly_allowed", "newly_denied"):
        for decision_id in answer[word]:
            print_line(f"{word.replace('_', ' '):<14} {decision_id}")


def _write_money(exposure: dict[str, int]) -> str:
    return ", ".join(f"{minor} minor units of {currency}" for currency, minor in exposure.items()) or "no money"
