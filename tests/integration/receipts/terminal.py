"""The command line against a test's own tenant, as its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import Cluster, Database
from tests.integration.gates.desk import Desk

ROOT = Path(__file__).parents[3]


def run_command(desk: Desk, database: Database, cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `./tellergate` on the machine's own secrets, as nobody's service would."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "TELLERGATE_DATABASE_DSN": database.admin_dsn(),
        "TELLERGATE_VAR_DIR": str(cluster.secrets_dir.parent),
        "TELLERGATE_TENANT_ID": desk.tenant.tenant_id,
    }
    command = [sys.executable, "-m", "serving.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
