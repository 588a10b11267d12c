"""What the CLI prints is what it was given: account codes look like rich's emoji names and its markup."""

from __future__ import annotations

import pytest

from domain.errors import InvalidInput
from serving.cli.output import fail, print_line

LINE = "house:bank:EUR [bold]4990[/bold] :fire:"


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(LINE)
    assert capsys.readouterr().out == LINE + "\n"


def test_an_error_names_the_account_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail(InvalidInput(f"no account {LINE}"), as_json=False)
    assert ended.value.code == 2
    assert LINE in capfd.readouterr().err
