"""`review`: what the gate sent to people. List, claim, answer, and what the answers taught."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from domain.errors import NotFound, TellergateError
from domain.money import Money, render_money
from serving.cli.calls import ask_as, ask_or_fail, require_id_or_fail
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

review_app = typer.Typer(name="review", help="What the gate sent to a person.", no_args_is_help=True)
ReviewId = Annotated[str, typer.Argument(help="rev_…")]
Digest = Annotated[
    str | None, typer.Option("--digest", help="The digest of the action that you read; without it, that of the review now.")
]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="Same key, same verdict: same answer, nothing twice.")]


@review_app.command("list")
def list_reviews(as_user: AsUser = None, as_json: Json = False) -> None:
    """List what waits: escalated first, then the riskiest; three and more alike of one source are one line."""
    answer = ask_or_fail("GET", "/api/v1/reviews", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for item in answer["groups"]:
        _show_item(item)
    if not answer["groups"]:
        print_line("nothing waits")


@review_app.command("show")
def show_review(review_id: ReviewId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Show one open review: the act, why it waits, where each value comes from, and its digest."""
    answer = _find(review_id, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    decision = answer["decision"]
    action = decision["action"]
    print_line(f"{answer['review']['review_id']}  {action['kind']}  {_money(action['amount_minor'], action['currency'])}")
    print_line(f"  asked by {decision['operator_id']}, decided {decision['decided_at']}, until {answer['review']['expires_at']}")
    for reason in answer["reasons"]:
        print_line(f"  {reason['outcome']}: {reason['text']} ({reason['code']})")
    for origin in decision["origins"]:
        print_line(f"  {origin['argument']} comes from {origin['origin']}{_by(origin['derivation'])}")
    print_line(f"  approvals needed: {answer['review']['required_approvals']}")
    print_line(f"  digest: {decision['action_digest']}")


@review_app.command("claim")
def claim(review_id: ReviewId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Take a review for 15 minutes; nobody else can answer it meanwhile."""
    _change_claim(review_id, "claim", as_user, as_json=as_json)


@review_app.command("release")
def release(review_id: ReviewId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Give a review back before its time is over."""
    _change_claim(review_id, "release", as_user, as_json=as_json)


@review_app.command("approve")
def approve(
    review_id: ReviewId,
    digest: Digest = None,
    reason: Annotated[str, typer.Option("--reason", help="A note.")] = "",
    key: Key = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Approve exactly the action of this review. What changed since it opened kills the approval."""
    _answer(review_id, "approve", digest=digest, reason=reason, key=key, as_user=as_user, as_json=as_json)


@review_app.command("refuse")
def refuse(
    review_id: ReviewId,
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever asked for it reads this.")],
    digest: Digest = None,
    key: Key = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Refuse it."""
    _answer(review_id, "refuse", digest=digest, reason=reason, key=key, as_user=as_user, as_json=as_json)


@review_app.command("stats")
def stats(as_user: AsUser = None, as_json: Json = False) -> None:
    """Show how often people overruled each rule and model, and how fast each person answered."""
    answer = ask_or_fail("GET", "/api/v1/reviews/stats", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for name, verb in (("by_rule", "approved what it stopped"), ("by_model", "refused what it proposed")):
        for rate in answer[name]:
            print_line(f"{rate['name']} ({rate['version']}): {verb} in {rate['overruled']} of {rate['answered']}")
    for pace in answer["pace"]:
        bulk = ", in bulk" if pace["is_bulk"] else ""
        print_line(
            f"{pace['hour']}  {pace['operator_id']}: {pace['verdicts']} verdicts, median {pace['median_handled_s']} s,"
            f" {pace['fast']} under 5 s{bulk}"
        )


@review_app.command("export")
def export(
    as_user: AsUser = None,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One label a line; what there is anyway.")] = True,
) -> None:
    """Print every verdict as a label, one JSON object a line (docs/schemas/review-outcome.schema.json)."""
    del as_jsonl
    try:
        for label in _iter_labels(as_user):
            sys.stdout.write(json.dumps(label, ensure_ascii=False, sort_keys=True) + "\n")
    except TellergateError as error:
        fail(error, as_json=True)


def _iter_labels(as_user: str | None) -> Iterator[dict[str, Any]]:
    settings, after = read_settings(), ""
    while True:
        page = ask_as(settings, "GET", "/api/v1/reviews/labels", as_user, params={"after": after})
        yield from page["labels"]
        after = page["next_after"]
        if not after:
            return


def _answer(
    review_id: str, verdict: str, *, digest: str | None, reason: str, key: str | None, as_user: str | None, as_json: bool
) -> None:
    read = digest or str(_find(review_id, as_user, as_json=as_json)["decision"]["action_digest"])
    answer = ask_or_fail(
        "POST",
        f"/api/v1/reviews/{require_id_or_fail(review_id, 'rev', as_json=as_json)}/{verdict}",
        as_user,
        as_json=as_json,
        json={"action_digest": read, "reason": reason},
        headers={"Idempotency-Key": key or secrets.token_urlsafe(24)},
    )
    if as_json:
        print_json(answer)
        return
    decision = answer["decision"]
    print_line(f"{decision['outcome']}  {decision['decision_id']}")
    for one in answer["reasons"]:
        print_line(f"  {one['text']} ({one['code']})")
    if answer["posting"]:
        print_line(f"  posted {_money(answer['posting']['amount_minor'], answer['posting']['currency'])}")


def _find(review_id: str, as_user: str | None, *, as_json: bool) -> dict[str, Any]:
    wanted = require_id_or_fail(review_id, "rev", as_json=as_json)
    items = ask_or_fail("GET", "/api/v1/reviews", as_user, as_json=as_json)["items"]
    found: dict[str, Any] | None = next((item for item in items if (item["review"] or {}).get("review_id") == wanted), None)
    if found is None:
        fail(NotFound(f"no open review {wanted}: it was answered, or its time is over", code="review_not_open"), as_json=as_json)
    return found


def _change_claim(review_id: str, act: str, as_user: str | None, *, as_json: bool) -> None:
    answer = ask_or_fail(
        "POST", f"/api/v1/reviews/{require_id_or_fail(review_id, 'rev', as_json=as_json)}/{act}", as_user, as_json=as_json
    )
    if as_json:
        print_json(answer)
    elif answer["claimed_by"]:
        print_line(f"held by {answer['claimed_by']} until {answer['claimed_until']}")
    else:
        print_line("held by nobody")


def _show_item(item: dict[str, Any]) -> None:
    riskiest = item["members"][0]
    sums = ", ".join(_money(amount, currency) for currency, amount in sorted(item["total_minor"].items()))
    many = f"  {len(item['members'])} alike" if len(item["members"]) > 1 else ""
    marks = "".join(
        (
            "  escalated" if riskiest["escalated_at"] else "",
            f"  held by {riskiest['claimed_by']}" if riskiest["claimed_by"] else "",
        )
    )
    print_line(f"{riskiest['review_id']}  {item['action_kind']}  {sums}  priority {riskiest['priority']}{many}{marks}")
    print_line(f"  asked by {item['operator_id']}: {', '.join(item['codes'])}")


def _money(amount_minor: int, currency: str) -> str:
    return "no money" if currency == "XXX" else render_money(Money(amount_minor, currency))


def _by(derivation: str | None) -> str:
    return f", by {derivation}" if derivation else ""
