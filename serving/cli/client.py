"""An HTTP client on the API socket: problem+json becomes one clear line and a non-zero exit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from domain.errors import Forbidden, InvalidInput, SetupError, TellergateError, Unavailable
from serving.cli.arguments import require_header_value
from serving.ingest.demo_logins import DEMO_LOGINS_FILE
from serving.settings import Settings, read_session_token
from serving.supervisor.plan import SOCKET_NAMES
from serving.supervisor.preflight import find_socket_dir
from serving.supervisor.state import read_state

_TIMEOUT_S = 120.0


class ApiProblem(TellergateError):
    """Carry a problem+json answer of the service."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(
            str(problem.get("detail") or problem.get("title") or f"HTTP {status}"), code=str(problem.get("code", "http_error"))
        )
        self.status = status
        self.problem = dict(problem)


class ApiClient:
    """Speak to a running service as one signed-in user."""

    def __init__(self, settings: Settings) -> None:
        socket_path = find_socket_dir(settings.run_dir) / SOCKET_NAMES["edge"]
        self._settings = settings
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket_path)), base_url="http://tellergate", timeout=_TIMEOUT_S, trust_env=False
        )

    def sign_in(self, username: str, *, must_be: str | None = None) -> None:
        """Use the token of the environment, or in demo mode the demo user's password.

        `must_be` is who was named on the command line: a token of somebody else is refused.
        Raises: InvalidInput, Forbidden, SetupError, Unavailable.
        """
        token = read_session_token()
        if not token:
            token = self._sign_in_demo(username)
            self._http.headers["Authorization"] = f"Bearer {token}"
            return
        self._http.headers["Authorization"] = f"Bearer {require_header_value('TELLERGATE_TOKEN', token.strip())}"
        try:
            owner = str(self.call("GET", "/api/v1/sessions/current")["username"])
        except ApiProblem as problem:
            if problem.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise InvalidInput(
                "the token in TELLERGATE_TOKEN is wrong, or its session ended or expired: sign in again with "
                "POST /api/v1/sessions and set the new one, or unset it to use the demo's users",
                code="token_refused",
            ) from problem
        if must_be is not None and owner != must_be:
            raise InvalidInput(
                f"the token in TELLERGATE_TOKEN is one of {owner!r} and --as says {must_be!r}: use that person's token",
                code="token_of_somebody_else",
            )

    def _sign_in_demo(self, username: str) -> str:
        if self._settings.mode != "demo":
            raise Forbidden(
                f"set TELLERGATE_TOKEN to a token of {username}: there are no demo users in production mode", code="no_token"
            )
        password = read_demo_password(self._settings.var_dir / DEMO_LOGINS_FILE, username)
        answer = self.call(
            "POST", "/api/v1/sessions", json={"tenant_id": self._settings.tenant_id, "username": username, "password": password}
        )
        return str(answer["token"])

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send one request and return the JSON answer. Raises: ApiProblem, Unavailable."""
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._unavailable(error) from error
        if answer.is_error:
            raise ApiProblem(answer.status_code, _problem_of(answer))
        return answer.json()

    def _unavailable(self, error: httpx.TransportError) -> Unavailable:
        if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            # The request arrived, so it may have been carried out.
            return Unavailable(
                "the service broke off before it answered, so what was asked may have been done: look at ./tellergate doctor, "
                "then repeat the command; with the same --idempotency-key nothing is done twice",
                code="service_unclear",
            )
        if is_running(self._settings):
            return Unavailable(
                "the service is starting, or its edge process is being started again: try again in some seconds; "
                "./tellergate doctor says which parts are up",
                code="service_starting",
            )
        return Unavailable("the service is not running: start it with ./tellergate up", code="service_down")

    def stream(self, method: str, path: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Send one request and yield the events of its NDJSON answer as they come. Raises: ApiProblem, Unavailable."""
        try:
            with self._http.stream(method, path, **options) as answer:
                if answer.is_error:
                    answer.read()
                    raise ApiProblem(answer.status_code, _problem_of(answer))
                for line in answer.iter_lines():
                    if line:
                        yield json.loads(line)
        except httpx.TransportError as error:
            raise self._unavailable(error) from error


def is_running(settings: Settings) -> bool:
    """Say whether a supervisor runs on this folder."""
    return read_state(settings.run_dir) is not None


def read_demo_password(logins_file: Path, username: str) -> str:
    """Read a demo user's password. Raises: SetupError, InvalidInput."""
    try:
        text = logins_file.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(
            f"{logins_file} cannot be read ({error.strerror}): ./tellergate up writes it when it starts, for its own user",
            code="no_demo_logins",
        ) from error
    found = re.search(rf"^\s*{re.escape(username)}\s+(?P<password>\S+)", text, re.MULTILINE)
    if found is None:
        raise InvalidInput(f"there is no demo user {username!r}; {logins_file} lists them", code="unknown_user")
    return found.group("password")


def _problem_of(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {"detail": answer.text[:500]}
    return body if isinstance(body, dict) else {"detail": str(body)[:500]}
