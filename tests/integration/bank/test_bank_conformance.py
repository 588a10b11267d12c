"""Every adapter keeps the port's promises: one suite, run against folders of files and against a bank with an API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest

from domain.canonical import NotCanonical
from serving.bank.file_bank import FileBank
from serving.bank.http_bank import HttpBank
from serving.bank.port import KEY_CONFLICT, Ack, AckStatus, BankAdapter, BankInstruction
from tests.doubles.bank_server import TOKEN, BankServer
from tests.integration.bank.counter import NOW, outside


class BankUnderTest(Protocol):
    """The bank's own side of an adapter."""

    def open(self) -> BankAdapter: ...

    def say(self, instruction_id: UUID, **statement: Any) -> None: ...

    def hear(self, adapter: BankAdapter, instruction_id: UUID) -> Ack: ...

    def carried_out(self, instruction_id: UUID) -> int: ...


@dataclass(frozen=True, slots=True)
class Api:
    """A bank with an API: asked for the key, it answers."""

    server: BankServer

    def open(self) -> BankAdapter:
        return HttpBank(base_url=self.server.url, token=TOKEN, deadline_s=10)

    def say(self, instruction_id: UUID, **statement: Any) -> None:
        self.server.say(outside(instruction_id), **statement)

    def hear(self, adapter: BankAdapter, instruction_id: UUID) -> Ack:
        ack = adapter.find(instruction_id)
        assert ack is not None
        return ack

    def carried_out(self, instruction_id: UUID) -> int:
        return self.server.carried_out[outside(instruction_id)]


@dataclass(frozen=True, slots=True)
class Folders:
    """A bank without an API: it takes files away and lays acknowledgements down."""

    folder: Path

    def open(self) -> BankAdapter:
        return FileBank(self.folder)

    def say(self, instruction_id: UUID, **statement: Any) -> None:
        line = {"format": "tellergate-acknowledgement/1", "instruction_id": outside(instruction_id), **statement}
        (self.folder / "incoming" / f"{uuid4().hex}.jsonl").write_text(json.dumps(line) + "\n")

    def hear(self, adapter: BankAdapter, instruction_id: UUID) -> Ack:
        assert isinstance(adapter, FileBank)
        (name,) = adapter.list_deliveries()
        (line,) = adapter.read_delivery(name)
        assert isinstance(line.ack, Ack)
        adapter.finish_delivery(name, [])
        assert adapter.list_deliveries() == []
        return line.ack

    def carried_out(self, instruction_id: UUID) -> int:
        name = f"{outside(instruction_id)}.jsonl"
        places = [self.folder / place / name for place in ("outgoing", "taken")]
        return sum(len(place.read_text().splitlines()) for place in places if place.exists())


@pytest.fixture(params=["api", "folders"])
def bank(request: pytest.FixtureRequest, bank_server: BankServer, tmp_path: Path) -> BankUnderTest:
    """Each kind of bank."""
    return Api(bank_server) if request.param == "api" else Folders(tmp_path / "bank")


@pytest.fixture
def adapter(bank: BankUnderTest) -> Iterator[BankAdapter]:
    """An adapter to it."""
    opened = bank.open()
    yield opened
    opened.close()
    opened.close()


def make_instruction(**payload: Any) -> BankInstruction:
    return BankInstruction(
        tenant_id="demo",
        instruction_id=uuid4(),
        kind="refund",
        reference="dec_1",
        payload={"amount_minor": 4990, "currency": "EUR", **payload},
        created_at=NOW,
    )


def test_what_is_sent_is_accepted_and_found(bank: BankUnderTest, adapter: BankAdapter) -> None:
    instruction = make_instruction()
    assert adapter.find(instruction.instruction_id) is None
    assert adapter.send(instruction).status is AckStatus.ACCEPTED
    found = adapter.find(instruction.instruction_id)
    assert found is not None
    assert (found.instruction_id, found.status) == (instruction.instruction_id, AckStatus.ACCEPTED)
    assert bank.carried_out(instruction.instruction_id) == 1


def test_the_same_again_has_the_effect_of_one(bank: BankUnderTest, adapter: BankAdapter) -> None:
    instruction = make_instruction()
    assert {adapter.send(instruction).status for _ in range(3)} == {AckStatus.ACCEPTED}
    again = bank.open()
    assert again.send(instruction).status is AckStatus.ACCEPTED
    again.close()
    assert bank.carried_out(instruction.instruction_id) == 1


def test_another_body_under_the_key_is_a_conflict_and_the_first_stays(bank: BankUnderTest, adapter: BankAdapter) -> None:
    instruction = make_instruction()
    adapter.send(instruction)
    ack = adapter.send(replace(instruction, payload={**instruction.payload, "amount_minor": 1}))
    assert (ack.status, ack.reason_code) == (AckStatus.REFUSED, KEY_CONFLICT)
    assert adapter.send(instruction).status is AckStatus.ACCEPTED
    assert bank.carried_out(instruction.instruction_id) == 1


@pytest.mark.parametrize(
    "statement",
    [
        {"status": "confirmed", "bank_reference": "B-2026.77", "acknowledged_at": "2026-05-04T11:30:00+02:00"},
        {"status": "confirmed", "amount_minor": 4990, "currency": "EUR"},
        {"status": "refused", "reason_code": "account_closed"},
    ],
)
def test_what_the_bank_says_is_heard_whole(bank: BankUnderTest, adapter: BankAdapter, statement: dict[str, Any]) -> None:
    instruction = make_instruction()
    adapter.send(instruction)
    bank.say(instruction.instruction_id, **statement)
    ack = bank.hear(adapter, instruction.instruction_id)
    assert ack.instruction_id == instruction.instruction_id
    assert ack.status == statement["status"]
    assert ack.reason_code == statement.get("reason_code")
    assert ack.bank_reference == statement.get("bank_reference")
    assert (ack.amount_minor, ack.currency) == (statement.get("amount_minor"), statement.get("currency"))
    assert ack.acknowledged_at == (NOW if "acknowledged_at" in statement else None)


def test_many_senders_of_one_instruction_are_one(bank: BankUnderTest) -> None:
    instruction = make_instruction()

    def send_once(_: int) -> AckStatus:
        own = bank.open()
        try:
            return own.send(instruction).status
        finally:
            own.close()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send_once, range(16))) == {AckStatus.ACCEPTED}
    assert bank.carried_out(instruction.instruction_id) == 1


def test_an_account_number_as_the_banks_own_id_does_not_come_in(bank: BankUnderTest, adapter: BankAdapter) -> None:
    instruction = make_instruction()
    adapter.send(instruction)
    bank.say(instruction.instruction_id, status="confirmed", bank_reference="DE89370400440532013000")
    reference = bank.hear(adapter, instruction.instruction_id).bank_reference
    assert reference is not None
    assert reference.startswith("digest:")
    assert "3704" not in reference


def test_what_has_no_exact_form_is_not_sent(bank: BankUnderTest, adapter: BankAdapter) -> None:
    for amount in (49.9, 2**60):
        instruction = make_instruction(amount_minor=amount)
        with pytest.raises(NotCanonical):
            adapter.send(instruction)
        assert bank.carried_out(instruction.instruction_id) == 0
