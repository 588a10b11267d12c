"""`leaks scan`: search this installation for the values that were planted in the demo tenant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import psycopg
import typer

from domain.errors import SetupError, TellergateError
from serving.cli.output import fail, print_json, print_line
from serving.settings import Settings, read_settings

if TYPE_CHECKING:
    from serving.cli.leak_scan import ScanReport

leaks_app = typer.Typer(name="leaks", help="Whether a regulated value stands outside the vault.", no_args_is_help=True)

_COULD_NOT_LOOK = 2


class CouldNotLook(SetupError):
    """Say that a surface could not be searched, so nothing is known of it."""

    code = "could_not_look"


@leaks_app.callback()
def leaks() -> None:
    """Whether a regulated value stands outside the vault."""


@leaks_app.command()
def scan(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Search database and files for the planted values, in every writing. Exit 1 when one is found, 2 when it could not look.

    Run it on the machine of the service, while it runs. No value is printed, only where one stands.
    """
    try:
        report = run_scan(read_settings())
    except CouldNotLook as error:
        if as_json:
            print_json({"error": {"code": error.code, "detail": error.message}})
        else:
            print_line(f"could not look: {error.message}")
        sys.exit(_COULD_NOT_LOOK)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(report.to_record())
    else:
        _print_report(report)
    sys.exit(1 if report.found else 0)


def run_scan(settings: Settings) -> ScanReport:
    """Search the database as its superuser, then the files below `var`. Raises: CouldNotLook."""
    from serving.cli.leak_scan import ScanReport, Searcher, scan_database, scan_files
    from serving.supervisor.database import DATABASE, make_embedded

    searcher = Searcher()
    try:
        dsn = settings.database_dsn or make_embedded(settings).admin_dsn(DATABASE)
        with psycopg.connect(dsn, autocommit=True) as connection:
            columns, in_database = scan_database(connection, searcher)
        files, in_files = scan_files(settings.var_dir, searcher)
    except (psycopg.Error, OSError, SetupError) as error:
        # The database's further lines may quote rows.
        raise CouldNotLook(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}") from None
    return ScanReport(columns, files, searcher.searched_bytes, (*in_database, *in_files))


def _print_report(report: ScanReport) -> None:
    for one in report.found:
        print_line(f"{one.surface:<9} {one.place}  {one.pii_class}  {one.count}")
    searched = f"{report.columns} columns and {report.files} files, {report.searched_bytes / 1e6:.0f} MB"
    print_line(f"{len(report.found)} places hold a planted value" if report.found else f"nothing found in {searched}")
