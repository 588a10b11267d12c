"""What the supervisor lets its processes use."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import SetupError
from serving.edge.boundary import MaskingFailed, Place
from serving.launch import ProcessConfig
from serving.settings import ROOT_DIR, Settings
from serving.supervisor.artifacts import admit_artifacts, list_admitted
from serving.supervisor.models import plan_model_servers
from serving.supervisor.plan import Endpoints, plan_first_load, plan_processes
from serving.wiring import build_edge
from storage.artifact_files import hash_path
from tests.conftest import ConnAs, Database, Tenant


@pytest.fixture
def settings(database: Database, tenant: Tenant, tmp_path: Path) -> Settings:
    for part in ("chat", "embedding", "ner"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(f'{{"is": "{part}"}}')
    var_dir = database.cluster.secrets_dir.parent
    return Settings(var_dir=var_dir, models_dir=tmp_path, tenant_id=tenant.tenant_id)


def _admit(settings: Settings, database: Database) -> dict[str, str]:
    return list_admitted(admit_artifacts(settings, database.address, now=datetime.now(UTC)))


def test_everything_of_the_first_start_is_admitted_and_what_changes_later_is_not(
    settings: Settings, database: Database, tenant: Tenant, conn_as: ConnAs
) -> None:
    first = _admit(settings, database)
    models = {"language_model/chat", "language_model/embeddings", "ner/names"}
    assert first.keys() == models | {"prompt/support_draft", "prompt/support_interpret"}
    assert first["ner/names"] == hash_path(settings.models_dir / "ner")
    assert _admit(settings, database) == first
    for part in ("chat", "ner"):
        (settings.models_dir / part / "config.json").write_text("{}")
    assert first.items() - _admit(settings, database).items() == {
        (key, first[key]) for key in models - {"language_model/embeddings"}
    }
    subjects = conn_as("gate", tenant).execute("SELECT subject FROM core.cases ORDER BY subject").fetchall()
    assert subjects == [("language_model chat",), ("ner names",)]


def test_weights_that_were_not_admitted_are_not_started(settings: Settings, tmp_path: Path) -> None:
    if not (ROOT_DIR / ".venv-vllm" / "bin" / "python").exists():
        pytest.skip("no environment for vLLM")
    both = {"language_model/chat": "0" * 64, "language_model/embeddings": "0" * 64}
    scratch = settings.model_copy(update={"var_dir": tmp_path})
    started = {
        tuple(spec.name for spec in plan_model_servers(scratch, socket_dir=tmp_path, artifacts=told).specs)
        for told in (both, both.keys() - {"language_model/embeddings"}, both.keys() - {"language_model/chat"}, {})
    }
    assert started == {("vllm-chat", "vllm-embeddings"), ("vllm-chat",), ()}


def test_a_registry_that_cannot_be_asked_starts_nothing(settings: Settings, database: Database) -> None:
    address = database.address.with_dbname("no_such_database")
    with pytest.raises(SetupError) as refused:
        admit_artifacts(settings, address, now=datetime.now(UTC))
    assert refused.value.code == "artifacts_not_checked"


def test_each_process_is_told_what_was_admitted(settings: Settings, database: Database, tmp_path: Path) -> None:
    admitted = _admit(settings, database)
    specs = plan_processes(
        settings, socket_dir=tmp_path, database=database.address, endpoints=Endpoints(None, None), artifacts=admitted
    )
    told = {spec.name: json.loads(spec.standard_input)["artifacts"] for spec in specs}
    assert told == dict.fromkeys(("money", "agents", "jobs", "edge"), admitted)
    config = plan_first_load(settings, socket_dir=tmp_path, database=database.address, artifacts=admitted)
    assert config.artifacts == admitted


def test_an_edge_without_an_approved_model_takes_no_text(settings: Settings, database: Database, tmp_path: Path) -> None:
    admitted = _admit(settings, database)
    del admitted["ner/names"]
    specs = plan_processes(
        settings, socket_dir=tmp_path, database=database.address, endpoints=Endpoints(None, None), artifacts=admitted
    )
    edge = next(spec for spec in specs if spec.name == "edge")
    app = build_edge(ProcessConfig.model_validate_json(edge.standard_input))
    deps = app.state.services.deps
    place = Place(settings.tenant_id, "cnv_" + "0" * 32, "cus_1", "msg_" + "0" * 32)
    try:
        with pytest.raises(MaskingFailed) as refused:
            deps.boundary.mask_input("was this charged twice?", place=place, actor="opr_ada", merchants=())
        assert (refused.value.code, refused.value.message.startswith("no text is taken")) == ("artifact_unapproved", True)
    finally:
        deps.close()
