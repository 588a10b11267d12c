"""The API keeps to its own description, whatever is sent to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.edge.world import EdgeWorld

_CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,response_headers_conformance"


def test_generated_requests_find_no_server_error_and_no_undocumented_answer(world: EdgeWorld, tmp_path: Path) -> None:
    client = world.sign_in("ada")
    # Signing out in the middle would leave nothing but refusals to look at; messages of 100 kB have tests of their own.
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{world.url}/api/v1/openapi.json",
        "--header", f"Authorization: {client.headers['Authorization']}", "--checks", _CHECKS, "--max-examples", "10",
        "--exclude-path", "/api/v1/sessions/current", "--exclude-path-regex", "messages$", "--phases", "coverage,fuzzing",
        "--suppress-health-check", "all", "--seed", "7", "--no-color",
    ]  # fmt: skip
    environment = {"PYTHONPATH": "", "PATH": ""}
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
