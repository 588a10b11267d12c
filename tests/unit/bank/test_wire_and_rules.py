"""The pure parts: what an acknowledgement may say, what it does in each state, how long to wait, which settings are whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.bank.access import BankAccess, open_bank
from serving.bank.acknowledging import Effect, effect_of
from serving.bank.backoff import Backoff
from serving.bank.callback import Callback, CallbackRefused, decode_secret, sign_callback, verify_callback
from serving.bank.file_bank import FileBank
from serving.bank.port import Ack, AckStatus, BankInstruction
from serving.bank.wire import UnreadableAcknowledgement, digest_acknowledgement, parse_acknowledgement, render_instruction
from storage.outbox import Instruction, InstructionState

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
ID = UUID("0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")
STATES: tuple[InstructionState, ...] = ("pending", "sent", "confirmed", "failed")
SECRET_TEXT = "whsec_dGhpcy1pcy1hLXRlc3Qtc2VjcmV0LW9mLTMyLWJ5dGVz"


def make_instruction(state: InstructionState) -> Instruction:
    return Instruction(
        tenant_id="t", instruction_id=ID, kind="refund", reference="dec_1", payload={"amount_minor": 4990, "currency": "EUR"},
        state=state, attempts=1, failure=None, created_at=NOW, changed_at=NOW, next_attempt_at=None, bank_reference=None,
    )  # fmt: skip


def test_what_an_acknowledgement_does_in_each_state() -> None:
    table = {(state, status): effect_of(make_instruction(state), Ack(ID, status)) for state in STATES for status in AckStatus}
    assert len(table) == 12
    for (state, status), effect in table.items():
        settled = state in ("confirmed", "failed")
        says = {"accepted": "sent", "confirmed": "confirmed", "refused": "failed"}[status.value]
        if status is AckStatus.ACCEPTED:
            assert effect is (Effect.SENT if state == "pending" else Effect.NONE)
        elif not settled:
            assert effect.value == says
        else:
            assert effect is (Effect.NONE if says == state else Effect.CONTRADICTION)


@given(st.lists(st.sampled_from(list(AckStatus)), max_size=12))
def test_no_order_of_acknowledgements_unsettles_an_instruction(statuses: list[AckStatus]) -> None:
    instruction, settled = make_instruction("pending"), None
    for status in statuses:
        effect = effect_of(instruction, Ack(ID, status))
        if effect in (Effect.SENT, Effect.CONFIRMED, Effect.FAILED):
            assert settled is None
            instruction = make_instruction(cast("InstructionState", effect.value))
            settled = effect if effect is not Effect.SENT else None
    final = [status for status in statuses if status is not AckStatus.ACCEPTED]
    expected = {AckStatus.CONFIRMED: "confirmed", AckStatus.REFUSED: "failed"}[final[0]] if final else None
    assert instruction.state == (expected or ("sent" if statuses else "pending"))


GOOD = {"format": "tellergate-acknowledgement/1", "instruction_id": f"ins_{ID.hex}", "status": "confirmed"}


@pytest.mark.parametrize(
    "change",
    [
        {"format": "tellergate-acknowledgement/2"}, {"instruction_id": str(ID)}, {"instruction_id": f"ins_{ID.hex.upper()}"},
        {"status": "ok"}, {"status": "refused"}, {"reason_code": "x"}, {"status": "refused", "reason_code": "Account Closed"},
        {"status": "refused", "reason_code": "x" * 65}, {"amount_minor": 1}, {"currency": "EUR"},
        {"amount_minor": -1, "currency": "EUR"}, {"amount_minor": 2**53, "currency": "EUR"},
        {"amount_minor": True, "currency": "EUR"}, {"amount_minor": "1", "currency": "EUR"},
        {"amount_minor": 1.0, "currency": "EUR"}, {"amount_minor": 1, "currency": "eur"},
        {"bank_reference": "Ünique"}, {"bank_reference": "x" * 81}, {"bank_reference": ""}, {"customer": "Ana"},
        {"acknowledged_at": "2026-05-04T09:30:00"}, {"acknowledged_at": "0001-01-01T00:00:00+23:00"}, {"acknowledged_at": 7},
    ],
)  # fmt: skip
def test_what_is_no_acknowledgement_is_named_and_not_quoted(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAcknowledgement) as raised:
        parse_acknowledgement(json.dumps({**GOOD, **change}).encode())
    for value in change.values():
        if isinstance(value, str) and len(value) > 10:
            assert value not in raised.value.message


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_be_read_or_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableAcknowledgement):
        parse_acknowledgement(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_does_either(value: Any) -> None:
    for body in (value, {**GOOD, "acknowledged_at": value}, {**GOOD, "amount_minor": value, "currency": "EUR"}):
        try:
            ack = parse_acknowledgement(json.dumps(body).encode())
        except UnreadableAcknowledgement:
            continue
        assert ack.instruction_id == ID


def test_the_same_said_at_another_time_is_the_same() -> None:
    first, later = (Ack(ID, AckStatus.CONFIRMED, acknowledged_at=NOW + timedelta(hours=hours)) for hours in (0, 1))
    assert digest_acknowledgement(first) == digest_acknowledgement(later)
    others = [
        Ack(ID, AckStatus.ACCEPTED), Ack(ID, AckStatus.REFUSED, reason_code="a"), Ack(ID, AckStatus.REFUSED, reason_code="b"),
        Ack(uuid4(), AckStatus.CONFIRMED), Ack(ID, AckStatus.CONFIRMED, bank_reference="B"),
        Ack(ID, AckStatus.CONFIRMED, amount_minor=1, currency="EUR"),
    ]  # fmt: skip
    assert len({digest_acknowledgement(one) for one in (first, *others)}) == 7


def test_an_instruction_is_the_same_bytes_each_time() -> None:
    made = BankInstruction("t", ID, "refund", "dec_1", {"b": 1, "a": "ä"}, NOW)
    assert render_instruction(made) == render_instruction(replace(made, payload={"a": "ä", "b": 1}))
    assert json.loads(render_instruction(made)) == {
        "format": "tellergate-instruction/1", "instruction_id": f"ins_{ID.hex}", "tenant_id": "t", "kind": "refund",
        "reference": "dec_1", "created_at": "2026-05-04T09:30:00.000000Z", "payload": {"a": "ä", "b": 1},
    }  # fmt: skip


@given(st.integers(-3, 10**6), st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 7200), st.integers(0, 10**6))
def test_a_wait_lies_in_its_half_and_below_the_cap(attempts: int, seed: int, base_s: int, cap_s: int, at_least_s: int) -> None:
    wait = Backoff(base_s=base_s, cap_s=cap_s).wait_after(attempts, Random(seed), at_least_s=at_least_s)
    assert timedelta(seconds=min(base_s, cap_s)) / 2 <= wait <= timedelta(seconds=cap_s)
    assert wait >= timedelta(seconds=min(at_least_s, cap_s))


def test_a_callback_signed_by_the_standards_own_example() -> None:
    """Source: Standard Webhooks 1.0, its published test vector."""
    secret = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign_callback(secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp="1614265330", body=body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    callback = Callback("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", f"v1a,x {signature}", body)
    moment = datetime.fromtimestamp(1614265330, UTC)
    verify_callback(secret, callback, now=moment)
    for other in (
        replace(callback, body=body + b" "), replace(callback, message_id="msg"), replace(callback, timestamp="1614265331"),
        replace(callback, signatures=signature[:-1]), replace(callback, signatures=signature.removeprefix("v1,")),
    ):  # fmt: skip
        with pytest.raises(CallbackRefused):
            verify_callback(secret, other, now=moment)
    for off_s in (-301, 301):
        with pytest.raises(CallbackRefused):
            verify_callback(secret, callback, now=moment + timedelta(seconds=off_s))


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "http://bank.example", "token": "t"}, {"base_url": "https://bank.example"}, {"token": "t"},
        {"base_url": "ftp://bank.example", "token": "t"}, {"base_url": "https://", "token": "t"},
        {"base_url": "bank", "token": "t"},
        {"base_url": "https://user:secret@bank.example", "token": "t"}, {"base_url": "https://bank.example?x=1", "token": "t"},
        {"base_url": "https://bank.example", "token": "t\n"}, {"base_url": "https://bank.example", "token": "ä"},
        {"ca_file": "/ca.pem"}, {"callback_secret": "short"}, {"callback_secret": "whsec_c2hvcnQ="},
        {"callback_secret": "whsec_???"},
        {"base_url": "http://127.0.0.1.bank.example", "token": "t"},
    ],
)  # fmt: skip
def test_settings_that_are_not_whole(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="TELLERGATE_BANK"):
        BankAccess(**settings)


def test_without_settings_the_bank_is_a_folder(tmp_path: Any) -> None:
    assert isinstance(open_bank(BankAccess(), folder=tmp_path), FileBank)
    whole = BankAccess(base_url="https://bank.example/v1", token="s3cret", callback_secret=SECRET_TEXT)
    assert whole.adapter == "http"
    assert "s3cret" not in repr(whole)
    assert SECRET_TEXT not in repr(whole)
    assert BankAccess(base_url="http://127.0.0.1:8000", token="t").adapter == "http"
