"""Environments follow their lock files and survive being cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.setup.place import python_of
from tools.setup.python_env import drop_half_installed, is_current, lock_entry, stamp_environment

ROOT = Path(__file__).parents[3]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "app.lock"
    path.write_text("idna==3.11 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nuv==0.13.9 \\\n    --hash=sha256:cc\n")
    return path


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    path = tmp_path / ".venv"
    python_of(path).parent.mkdir(parents=True)
    python_of(path).touch()
    return path


def test_an_environment_is_current_until_its_lock_changes_or_it_is_gone(environment: Path, lock: Path) -> None:
    locks = {"app.lock": lock}
    assert not is_current(environment, locks)
    stamp_environment(environment, locks)
    assert is_current(environment, locks)
    assert not is_current(environment, locks | {"dev.lock": lock})
    lock.write_text(lock.read_text().replace("3.11", "3.12"))
    assert not is_current(environment, locks)
    stamp_environment(environment, locks)
    python_of(environment).unlink()
    assert not is_current(environment, locks)


def test_a_package_cut_off_in_the_middle_is_forgotten_and_whole_ones_are_kept(environment: Path) -> None:
    packages = environment / "lib" / "python3.11" / "site-packages"
    for name, whole in (("idna-3.11.dist-info", True), ("torch-2.13.0.dist-info", False)):
        (packages / name).mkdir(parents=True)
        (packages / name / "METADATA").touch()
        if whole:
            (packages / name / "INSTALLER").touch()
    assert drop_half_installed(environment) == 1
    assert [path.name for path in packages.iterdir()] == ["idna-3.11.dist-info"]


def test_an_entry_of_a_lock_comes_with_all_its_hashes(lock: Path) -> None:
    assert lock_entry(lock, "idna") == "idna==3.11 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
    assert lock_entry(lock, "uv", "idna").startswith("uv==0.13.9")
    with pytest.raises(KeyError):
        lock_entry(lock, "left-pad")


@pytest.mark.parametrize("name", ["app", "dev", "models", "tools", "vllm-cpu", "vllm-gpu"])
def test_every_locked_package_has_a_hash_and_no_lock_names_an_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    entries = [line.split("==")[0] for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert entries
    for entry in entries:
        assert "--hash=sha256:" in lock_entry(ROOT / "requirements" / f"{name}.lock", entry)
    assert "://" not in text
    assert "--find-links" not in text


def test_the_console_lock_names_no_address_and_holds_hashes() -> None:
    text = (ROOT / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert text.count('"integrity"') > 20


def test_the_model_environment_brings_no_cuda_and_no_unused_giants() -> None:
    text = (ROOT / "requirements" / "vllm-cpu.lock").read_text()
    assert "\ntorch==2.13.0+cpu " in text
    for name in ("torchvision", "torchaudio", "torchcodec", "triton", "nvidia-"):
        assert f"\n{name}" not in text
