"""Plant a fault in a database; as a pytest plugin (`-p tests.mutation.ledger.planting --plant NAME`), in the run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import Connection

from tests.mutation.ledger.faults import FAULTS, Fault

if TYPE_CHECKING:
    from tests.conftest import Database

BY_NAME = {fault.name: fault for fault in FAULTS}


class DoesNotFit(Exception):
    """Say that the text that a fault replaces is not in the function any more."""


def plant(connection: Connection[Any], fault: Fault) -> None:
    """Do the harm. Raises: DoesNotFit."""
    edits = [(fault.function, fault.old, fault.new)] if fault.function else []
    for function, old, new in (*edits, *fault.more):
        connection.execute(_edited(connection, fault, function, old, new))
    for statement in (fault.statement, *fault.also):
        if statement:
            connection.execute(statement)


def _edited(connection: Connection[Any], fault: Fault, function: str, old: str, new: str) -> str:
    name = function if "." in function else f"ledger.{function}"
    row = connection.execute("SELECT pg_get_functiondef(%s::REGPROC)", [name]).fetchone()
    assert row is not None
    if old not in row[0]:
        raise DoesNotFit(f"{fault.name}: {name} does not hold {old!r}")
    return str(row[0]).replace(old, new)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plant", default="", help="the fault to plant; none to see that all is green without one")
    parser.addoption("--cluster-folder", default="", help="a server that runs already")


def pytest_configure(config: pytest.Config) -> None:
    """Use the server of the run that started this one, as a worker of it would."""
    folder = config.getoption("--cluster-folder")
    if folder:
        config.workerinput = {"tellergate_cluster": folder}  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def planted(request: pytest.FixtureRequest, database: Database) -> None:
    """The database of this run, spoiled."""
    name = request.config.getoption("--plant")
    if name:
        with psycopg.connect(database.admin_dsn()) as connection:
            plant(connection, BY_NAME[name])
