"""`ask`: one question, one whole answer; against a running service, or against one that lives for this question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id
from serving.cli.arguments import read_message, require_header_value, require_printable
from serving.cli.client import ApiClient, is_running
from serving.cli.output import print_line, say
from serving.settings import Settings
from serving.supervisor.up import Supervisor

DEFAULT_USERNAME = "ada"


class AskRequest(BaseModel):
    """Hold what to ask, as whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: str
    text: str
    username: str | None = None
    conversation_id: str | None = None
    idempotency_key: str | None = None


def read_request(
    *, customer: str, message: str, username: str | None, conversation: str | None, idempotency_key: str | None
) -> AskRequest:
    """Check what was typed, so that nothing is started for what can't be asked. Raises: InvalidInput."""
    return AskRequest(
        customer_id=require_printable("--customer", customer),
        text=read_message(message),
        username=None if username is None else require_printable("--as", username),
        conversation_id=None if conversation is None else require_id(conversation, "cnv"),
        idempotency_key=None if idempotency_key is None else require_header_value("--idempotency-key", idempotency_key),
    )


def run_ask(settings: Settings, request: AskRequest, *, with_model: bool) -> dict[str, Any]:
    """Return the whole answer. Raises: TellergateError."""
    if is_running(settings):
        return _ask(settings, request)
    return _ask_alone(settings.model_copy(update={"with_model": with_model, "with_embeddings": with_model}), request)


def _ask(settings: Settings, request: AskRequest) -> dict[str, Any]:
    client = ApiClient(settings)
    client.sign_in(request.username or DEFAULT_USERNAME, must_be=request.username)
    # The same key opens the same conversation, so that a repeated command is the same message and not another one.
    headers = {"Idempotency-Key": request.idempotency_key or uuid4().hex}
    conversation_id = request.conversation_id
    if conversation_id is None:
        made = client.call("POST", "/api/v1/conversations", json={"customer_id": request.customer_id}, headers=headers)
        conversation_id = made["conversation_id"]
    answer: dict[str, Any] = client.call(
        "POST",
        f"/api/v1/conversations/{conversation_id}/messages",
        params={"wait": "true"},
        json={"text": request.text, "customer_id": request.customer_id},
        headers=headers,
    )
    return answer


def _ask_alone(settings: Settings, request: AskRequest) -> dict[str, Any]:
    """Start what the question needs under the supervisor's own lock, ask, stop everything."""
    answers: list[dict[str, Any]] = []
    faults: list[TellergateError] = []

    def ask_once() -> None:
        try:
            answers.append(_ask(settings, request))
        except TellergateError as error:
            faults.append(error)

    supervisor = Supervisor(settings, say=say)
    supervisor.run(on_ready=ask_once, until=lambda: bool(answers or faults), wait_for_models=settings.with_model)
    if faults:
        raise faults[0]
    if not answers:
        raise InvalidInput("stopped before there was an answer", code="stopped")
    return answers[0]


def print_answer(answer: Mapping[str, Any]) -> None:
    """Print an answer for people."""
    for sentence in answer.get("sentences", ()):
        cited = ", ".join(citation["title"] for citation in sentence.get("citations", ()))
        print_line(f"{sentence['text']}  ({sentence['generated_by']}{'; ' + cited if cited else ''})")
    decision = answer.get("decision")
    if decision:
        reasons = ", ".join(reason["code"] for reason in decision.get("reasons", ()))
        print_line(f"\ndecision: {decision['outcome']} ({reasons})  {decision['decision_id']}")
    posting = answer.get("posting")
    if posting:
        print_line(f"posted: {posting['amount_minor']} {posting['currency']} minor units, transfer {posting['transfer_id']}")
    elif decision:
        print_line("nothing was posted")
