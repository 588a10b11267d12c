"""What a tool printed becomes one paragraph that says what happened and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.setup.failures import SetupError, explain_output, explain_venv
from tools.setup.process import run_tool

LOG = Path("/checkout/var/log/setup.log")

PRINTED = [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk_full"),
    ("  cause: failed to copy file from a to b: No space left on device (os error 28)", "disk_full"),
    ("npm error code ENOSPC", "disk_full"),
    ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/checkout/.venv-vllm'", "not_writable"),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "hash_mismatch"),
    ("  cause: Hash mismatch for `idna==3.11`", "hash_mismatch"),
    ("npm error code EINTEGRITY", "hash_mismatch"),
    ("ERROR: No matching distribution found for torch==2.13.0+cpu", "torch_not_found"),
    ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "no_network"),
    ("  cause: dns error", "no_network"),
    ("npm error code ENOTFOUND", "no_network"),
    ("ERROR: No matching distribution found for idna==3.11", "no_network"),
    ("Segmentation fault", "command_failed"),
]


@pytest.mark.parametrize(("printed", "code"), PRINTED)
def test_the_failure_is_named(printed: str, code: str) -> None:
    error = explain_output("the packages", output=f"Collecting idna\n{printed}\n", status=1, log=LOG, where=Path("/checkout"))
    assert error.code == code


@pytest.mark.parametrize(("printed", "code"), [row for row in PRINTED if row[1] != "command_failed"])
def test_a_named_failure_is_one_paragraph_that_says_what_to_do(printed: str, code: str) -> None:
    text = str(explain_output("the packages", output=printed, status=1, log=LOG, where=Path("/checkout")))
    assert "\n" not in text
    assert "start" in text


def test_an_unnamed_failure_shows_the_end_of_what_was_printed() -> None:
    printed = "\n".join(f"line {number}" for number in range(100))
    text = str(explain_output("the packages", output=printed, status=7, log=LOG, where=Path("/checkout")))
    assert "exit status 7" in text
    assert "line 99" in text
    assert "line 80" not in text


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("/usr/bin/python3.11: No module named venv", "venv_module_missing"),
        ("The virtual environment was not created successfully because ensurepip is not\navailable.", "venv_module_missing"),
        ("Error: Command '['python', '-m', 'ensurepip']' returned non-zero exit status 1.\nNo space left on device", "disk_full"),
        ("Error: [Errno 30] Read-only file system: '/checkout/.venv'", "not_writable"),
        ("something else", "setup"),
    ],
)
def test_the_failure_of_venv_is_named(printed: str, code: str) -> None:
    assert explain_venv("/usr/bin/python3.11", output=printed, where=Path("/checkout")).code == code


def test_a_real_tool_that_fails_is_explained_from_its_own_output_only(tmp_path: Path) -> None:
    log = tmp_path / "setup.log"
    log.write_text("No space left on device, said an earlier run\n")
    with pytest.raises(SetupError) as caught:
        run_tool("the tool", ["sh", "-c", "echo 'npm error code EINTEGRITY' >&2; exit 3"], log=log, cwd=tmp_path)
    assert caught.value.code == "hash_mismatch"


def test_a_tool_does_not_inherit_our_interpreter_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    log = tmp_path / "setup.log"
    run_tool("the tool", ["sh", "-c", 'echo "path is [$PYTHONPATH] and [$EXTRA]"'], log=log, cwd=tmp_path, env={"EXTRA": "given"})
    assert "path is [] and [given]" in log.read_text()
