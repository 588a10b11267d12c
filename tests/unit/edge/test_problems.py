"""Every error of the tree has a status, and it is the branch's."""

from __future__ import annotations

import pytest

from domain.errors import (
    BrokenInvariant,
    Conflict,
    CouldNotDecide,
    Forbidden,
    InvalidInput,
    NotFound,
    SetupError,
    TellergateError,
    Unavailable,
)
from serving.edge.live_turns import StillAnswering
from serving.edge.message_store import KeyReused
from serving.edge.message_text import EmptyMessage, MessageNotText, MessageTooLong
from serving.edge.problems import status_of
from serving.edge.process_client import PartDown, PartUnclear, Peer, error_of
from serving.edge.request_limits import BodyTooLarge
from serving.edge.sessions import NotSignedIn, SignInRefused
from serving.edge.sign_in import TooManyTries


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotSignedIn("x"), 401), (SignInRefused("x"), 401), (TooManyTries(3), 429),
        (MessageTooLong("x"), 413), (BodyTooLarge("x"), 413),
        (EmptyMessage("x"), 422), (MessageNotText("x"), 422), (KeyReused("x"), 422), (InvalidInput("x"), 422),
        (NotFound("x"), 404), (StillAnswering("x"), 409), (Conflict("x"), 409), (Forbidden("x"), 403),
        (PartDown("x"), 503), (Unavailable("x"), 503),
        (BrokenInvariant("x"), 500), (CouldNotDecide("x"), 500), (SetupError("x"), 500),
    ],
)  # fmt: skip
def test_status(error: TellergateError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("status", "branch"),
    [(403, Forbidden), (404, NotFound), (409, Conflict), (422, InvalidInput), (503, PartUnclear), (500, PartUnclear)],
)
def test_a_problem_of_another_process_becomes_an_error_of_the_tree(
    status: int, branch: type[TellergateError], tmp_path: object
) -> None:
    peer = Peer("money", tmp_path, "t")  # type: ignore[arg-type]
    error = error_of(peer, status, {"code": "own_proposal", "detail": "no"})
    assert isinstance(error, branch)
