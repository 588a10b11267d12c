from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from domain.errors import SetupError
from serving.cli import doctor
from serving.settings import Settings, read_settings
from serving.supervisor import preflight
from serving.supervisor.database import Database
from serving.supervisor.preflight import (
    AlreadyRunning,
    check_disk,
    check_models,
    check_port,
    find_socket_dir,
    make_folders,
    take_lock,
)


def _settings(folder: Path, port: int = 18460) -> Settings:
    return Settings(var_dir=folder / "var", port=port)


def test_folders_with_secrets_are_closed_to_others(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    make_folders(settings)
    assert [folder.stat().st_mode & 0o777 for folder in (settings.secrets_dir, settings.run_dir, settings.log_dir)] == [0o700] * 3


def test_a_folder_that_cannot_be_made_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file stands where the folder should be")
    with pytest.raises(SetupError, match=r"cannot be written.*TELLERGATE_VAR_DIR") as caught:
        make_folders(_settings(tmp_path))
    assert caught.value.code == "not_writable"


def test_the_second_supervisor_is_refused(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    make_folders(settings)
    with take_lock(settings), pytest.raises(AlreadyRunning, match="already running"):
        take_lock(settings)
    take_lock(settings).close()


def test_a_taken_port_is_named_with_the_mend(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port} .*TELLERGATE_PORT"):
            check_port(_settings(tmp_path, port))


def test_an_address_that_is_not_ours_is_not_called_taken(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path, host="203.0.113.9")
    with pytest.raises(SetupError, match="TELLERGATE_HOST") as caught:
        check_port(settings)
    assert caught.value.code == "port_refused"


def test_without_the_model_that_finds_names_nothing_starts(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path, models_dir=tmp_path / "models")
    with pytest.raises(SetupError, match="tellergate setup") as caught:
        check_models(settings)
    assert caught.value.code == "no_models"
    (tmp_path / "models" / "ner").mkdir(parents=True)
    check_models(settings)


def test_a_full_disk_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(tmp_path)
    make_folders(settings)
    check_disk(settings)
    monkeypatch.setattr(preflight, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(SetupError, match="are free under"):
        check_disk(settings)


def test_a_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    near = tmp_path / "run"
    if len(os.fsencode(near)) < 80:
        assert find_socket_dir(near) == near
    far = find_socket_dir(tmp_path / ("x" * 120))
    assert len(os.fsencode(far)) < 80
    assert far.stat().st_mode & 0o777 == 0o700
    far.chmod(0o755)
    with pytest.raises(SetupError, match="belongs to someone else"):
        find_socket_dir(tmp_path / ("x" * 120))
    far.rmdir()


@pytest.mark.parametrize(
    ("name", "value"),
    [("TELLERGATE_PORT", "http"), ("TELLERGATE_PORT", "70000"), ("TELLERGATE_TENANT_ID", "Demo!"), ("TELLERGATE_MODE", "test")],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=name):
        read_settings()


def test_production_refuses_the_embedded_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLERGATE_MODE", "production")
    with pytest.raises(SetupError, match="TELLERGATE_DATABASE_DSN"):
        read_settings()


def test_doctor_says_what_it_may_not_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(tmp_path)

    def denied(_: Settings) -> doctor.Finding:
        raise PermissionError(13, "Permission denied", str(settings.secrets_dir))

    monkeypatch.setenv("TELLERGATE_VAR_DIR", str(settings.var_dir))
    monkeypatch.setattr(doctor, "_check_secrets", denied)
    findings = doctor.run_doctor()
    assert [finding.what for finding in findings if "cannot be looked at" in finding.what] == [
        f"{settings.secrets_dir} cannot be looked at (Permission denied)"
    ]


def test_an_outside_database_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path, database_dsn="postgresql://admin:hidden@127.0.0.1:1/none")
    make_folders(settings)
    with pytest.raises(SetupError, match="TELLERGATE_DATABASE_DSN") as caught:
        Database(settings).prepare()
    assert caught.value.code == "database_not_prepared"
    assert "hidden" not in caught.value.message
