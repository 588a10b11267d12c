"""Each test of this folder runs for each ledger of ours behind the port: as it is, and over HTTP on a real socket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import UUID

import pytest
from starlette.types import Message, Receive, Scope, Send

from domain.transfer import TransferRequest, TransferResult
from ledger.outside.own import OwnLedger
from ledger.outside.port import OutsideLedger
from ledger.port import AccountBalance, Ledger, StatementLine, Transfer
from serving.outside_ledger.client import HttpLedger
from serving.outside_ledger.face import create_outside_ledger_app
from tests.conformance.ledger.implementations import IMPLEMENTATIONS
from tests.conformance.ledger.scene import ALICE, BOB, LIFETIME, NOW, PURSE
from tests.integration.edge.served import Served

TOKEN = "ledger-token"


class StillClock:
    """A clock that stands."""

    def now(self) -> Any:
        """Return the scene's time."""
        return NOW


@dataclass(slots=True)
class OneAtATime:
    """The twin is for one thread; an application has several."""

    door: OutsideLedger
    lock: Lock = field(default_factory=Lock)

    def open_account(self, code: str, currency: str, **flags: bool) -> None:
        with self.lock:
            self.door.open_account(code, currency, **flags)

    def apply(self, requests: Sequence[TransferRequest]) -> list[TransferResult]:
        with self.lock:
            return self.door.apply(requests)

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        with self.lock:
            return self.door.find_balance(code, currency)

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        with self.lock:
            return self.door.find_transfer(transfer_id)

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        with self.lock:
            return self.door.list_entries(code, currency, after=after, limit=limit)


class LosesAnswers:
    """Let the ledger act, then lose its answer, as often as it is told to."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.to_lose = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pass_on(message: Message) -> None:
            if scope["type"] == "http" and self.to_lose > 0 and message["type"] == "http.response.start":
                self.to_lose -= 1
                raise ConnectionResetError
            await send(message)

        try:
            await self._app(scope, receive, pass_on)
        except ConnectionResetError:
            # The server hangs up on an application that ends without an answer.
            return


@dataclass(slots=True)
class Outside:
    """An outside ledger, and the side of it that allows."""

    ledger: Ledger
    door: OutsideLedger
    loses: LosesAnswers | None = None
    url: str = ""

    def allow(self, *requests: TransferRequest) -> None:
        """Have its own authority allow these."""
        self.ledger.authorize(requests, valid_from=NOW, valid_until=NOW + LIFETIME)

    def put(self, *requests: TransferRequest) -> list[TransferResult]:
        """Allow and apply."""
        self.allow(*requests)
        return self.door.apply(requests)

    def balance(self, code: str, currency: str = "EUR") -> AccountBalance:
        """Return a balance that is there."""
        found = self.door.find_balance(code, currency)
        assert found is not None
        return found


def open_accounts(door: OutsideLedger) -> None:
    """Alice and Bob without a limit, a purse with one."""
    for code in (ALICE, BOB):
        door.open_account(code, "EUR")
    door.open_account(PURSE, "EUR", debits_must_not_exceed_credits=True)


@pytest.fixture(params=list(IMPLEMENTATIONS))
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """An empty ledger of ours."""
    return IMPLEMENTATIONS[request.param](request)()


def open_over_http(ledger: Ledger) -> Iterator[Outside]:
    """Serve a ledger and speak to it."""
    loses = LosesAnswers(create_outside_ledger_app(OneAtATime(OwnLedger(ledger, StillClock())), token=TOKEN))
    served = Served(loses)
    url = f"http://127.0.0.1:{served.port}/v1"
    client = HttpLedger(base_url=url, token=TOKEN, deadline_s=30)
    try:
        open_accounts(client)
        yield Outside(ledger, client, loses, url)
    finally:
        client.close()
        served.stop()


@pytest.fixture(params=["direct", "http"])
def outside(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[Outside]:
    """It, behind the port, with the scene's accounts."""
    if request.param == "direct":
        door = OwnLedger(ledger, StillClock())
        open_accounts(door)
        yield Outside(ledger, door)
    else:
        yield from open_over_http(ledger)


@pytest.fixture
def over_http(ledger: Ledger) -> Iterator[Outside]:
    """It, over HTTP only."""
    yield from open_over_http(ledger)
