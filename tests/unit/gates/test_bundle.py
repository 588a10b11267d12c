"""A bundle that was tampered with, doesn't validate or is empty: refused to load, or denies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cedarpy
import pytest

from domain.decision import Outcome
from gates.decide import decide_action
from gates.policy.bundle import InvalidBundle, load_bundle_content, load_bundle_directory, seal_bundle_directory
from gates.reasons import EXECUTION_SENTENCES, SENTENCES, UnknownReason, plain_reason
from ledger.results import ExecutionCode
from tests.property.gates.samples import allowed_request

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTER, tmp_path / "bundle"))


def test_the_starter_loads_and_is_addressed_by_its_content(folder: Path) -> None:
    bundle = load_bundle_directory(folder)
    assert bundle.sha256 == load_bundle_directory(STARTER).sha256
    again = load_bundle_content(json.loads(json.dumps(dict(bundle.content))), expected_sha256=bundle.sha256)
    assert again.sha256 == bundle.sha256
    assert {rule.approvals for rule in bundle.rules.values() if rule.outcome is not Outcome.REVIEW} == {0}


@pytest.mark.parametrize("name", ["permits.cedar", "restrictions.cedar", "schema.cedarschema"])
def test_any_changed_byte_refuses_to_load(folder: Path, name: str) -> None:
    (folder / name).write_text((folder / name).read_text() + " ")
    with pytest.raises(InvalidBundle, match="was changed after it was sealed"):
        load_bundle_directory(folder)


def test_another_manifest_has_another_address(folder: Path) -> None:
    sealed = load_bundle_directory(folder)
    manifest = json.loads((folder / "bundle.json").read_text()) | {"version": "other"}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    changed = load_bundle_directory(folder)
    assert changed.sha256 != sealed.sha256
    with pytest.raises(InvalidBundle, match="has other content"):
        load_bundle_content(dict(changed.content), expected_sha256=sealed.sha256)


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_replace("permits.cedar", "context.grant.granted", "context.grant.grantd"), "does not fit"),
        (_replace("permits.cedar", "remaining_minor <= 0", 'remaining_minor <= "0"'), "does not fit"),
        (_replace("permits.cedar", "context has account &&\n  context.grant", "context.grant"), None),
        (
            _replace("restrictions.cedar", "context has account && context.account.currency", "context.account.currency"),
            "does not fit",
        ),
        (_replace("permits.cedar", "forbid (", "forbid"), "does not parse"),
        (_replace("permits.cedar", '@id("deny-hard-cap")', '@id("deny-turn-mismatch")'), "stands twice"),
        (_replace("permits.cedar", '@id("deny-hard-cap")\n', ""), "needs @id"),
        (_replace("permits.cedar", '@reason("hard_cap")\n', ""), "needs @reason"),
        (_replace("permits.cedar", '@outcome("allow")', '@outcome("deny")'), "expected allow"),
        (_replace("permits.cedar", '@outcome("deny")', '@outcome("review")'), "expected deny"),
        (_replace("restrictions.cedar", '@outcome("hold")', '@outcome("allow")'), "expected hold or review"),
        (_replace("restrictions.cedar", "forbid (", "permit ("), "no such effect"),
        (_replace("restrictions.cedar", '@approvals("1")', '@approvals("-1")'), "@approvals"),
        (_replace("restrictions.cedar", "  principal,", "  principal == ?principal,"), "templates"),
        (_replace("schema.cedarschema", "entity Tenant;", "entity Tenant"), "does not parse"),
        (_replace("bundle.json", '"review_lifetime_s": 86400', '"review_lifetime_s": "1"'), "review_lifetime_s"),
        (_replace("bundle.json", '"format"', '"extra": 1, "format"'), "extra"),
    ],
)
def test_what_does_not_validate_cannot_be_sealed_or_loaded(
    folder: Path, change: Callable[[Path], None], message: str | None
) -> None:
    change(folder)
    if message is None:
        seal_bundle_directory(folder)
        return
    with pytest.raises(InvalidBundle, match=message):
        seal_bundle_directory(folder)
    with pytest.raises(InvalidBundle):
        load_bundle_directory(folder)


def test_missing_files_and_odd_content_refuse_to_load(folder: Path) -> None:
    content = dict(load_bundle_directory(folder).content)
    for odd in ({}, {**content, "more": 1}, {**content, "files": []}, {**content, "files": {**content["files"], "x.cedar": ""}}):
        with pytest.raises(InvalidBundle):
            load_bundle_content(odd)
    (folder / "restrictions.cedar").unlink()
    with pytest.raises(InvalidBundle):
        load_bundle_directory(folder)


def test_an_empty_valid_bundle_denies(folder: Path) -> None:
    for name in ("permits.cedar", "restrictions.cedar"):
        (folder / name).write_text("")
    seal_bundle_directory(folder)
    decision = decide_action(allowed_request(), load_bundle_directory(folder), now=NOW)
    assert decision.outcome is Outcome.DENY
    assert [reason.code for reason in decision.reasons] == ["no_permit"]


def test_a_rule_that_errors_never_allows(folder: Path) -> None:
    overflow = "(context.transaction.amount_minor * 9223372036854775807) > 1"
    _replace("restrictions.cedar", "context.score >= 600", f"context has transaction && {overflow}")(folder)
    seal_bundle_directory(folder)
    decision = decide_action(allowed_request(), load_bundle_directory(folder), now=NOW)
    assert decision.outcome is Outcome.REVIEW
    assert [reason.code for reason in decision.reasons] == ["could_not_decide"]


def test_an_engine_that_fails_never_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise ValueError("engine broke")

    monkeypatch.setattr(cedarpy, "is_authorized", fail)
    decision = decide_action(allowed_request(), load_bundle_directory(STARTER), now=NOW)
    assert decision.outcome is Outcome.REVIEW
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *_: cedarpy.AuthzResult({"decision": "NoDecision"}))
    assert decide_action(allowed_request(), load_bundle_directory(STARTER), now=NOW).outcome is Outcome.REVIEW


def test_every_code_has_a_sentence() -> None:
    by_code = {"no_permit", "could_not_decide", "malformed_proposal", "review_refused", "review_expired", "allow_expired"}
    by_code |= {"frozen", "hold_expired", "hold_released", "review_flood", "review_budget_spent"}
    assert set(SENTENCES) == load_bundle_directory(STARTER).reason_codes() | by_code
    assert all(plain_reason(code).endswith(".") for code in SENTENCES)
    with pytest.raises(UnknownReason):
        plain_reason("nonsense")
    assert set(EXECUTION_SENTENCES) == set(ExecutionCode)
