"""Keys of tenants: every store keeps the same promises, and a provider over it derives, caches and grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import InvalidInput, TellergateError
from masking.key_services import KeyRefused, KeyServiceDown, KmsKeyStore, open_kms_key_provider
from masking.keys import FileKeyProvider, FileKeyStore, KeyStore, StoredKeyProvider, TenantKeyMissing
from storage.secrets import SecretFileInsecure
from tests.doubles.key_service import FakeKeyService

OpenStore = Callable[[], KeyStore]
KEY = "tellergate-vault"


@pytest.fixture
def service() -> FakeKeyService:
    return FakeKeyService(KEY)


@pytest.fixture(params=["file", "kms"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, service: FakeKeyService) -> OpenStore:
    """Open the store anew, as another process does."""
    if request.param == "file":
        return lambda: FileKeyStore(tmp_path)
    return lambda: KmsKeyStore(service, tmp_path, key_ref=KEY)


def test_versions_count_from_one_and_stay(open_store: OpenStore) -> None:
    store = open_store()
    assert store.read_secrets("demo") == {}
    assert (store.add_secret("demo"), store.add_secret("demo")) == (1, 2)
    secrets = store.read_secrets("demo")
    assert sorted(secrets) == [1, 2]
    assert secrets[1] != secrets[2]
    assert {len(secret) for secret in secrets.values()} == {32}
    assert open_store().read_secrets("demo") == secrets


def test_tenants_are_apart_and_names_are_checked(open_store: OpenStore) -> None:
    store = open_store()
    store.add_secret("demo")
    store.add_secret("demo-two")
    assert list(store.read_secrets("demo")) == [1]
    assert store.read_secrets("demo") != store.read_secrets("demo-two")
    for wrong in ("", "../demo", "demo.v1", "De mo", "*"):
        with pytest.raises(TellergateError):
            store.read_secrets(wrong)
        with pytest.raises(TellergateError):
            store.add_secret(wrong)


def test_files_are_the_owners_alone(open_store: OpenStore, tmp_path: Path) -> None:
    open_store().add_secret("demo")
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(SecretFileInsecure):
        open_store().read_secrets("demo")


def test_a_provider_derives_apart_and_the_same_each_time(open_store: OpenStore) -> None:
    keys = StoredKeyProvider(open_store()).ensure_tenant_keys("demo")
    derived = [keys.token, keys.fingerprint, keys.cache, keys.seal, keys.guard, keys.wraps[1]]
    assert len(set(derived)) == len(derived)
    assert StoredKeyProvider(open_store()).tenant_keys("demo") == keys
    assert StoredKeyProvider(open_store()).ensure_tenant_keys("demo") == keys


def test_no_key_is_an_error_that_says_so(open_store: OpenStore) -> None:
    with pytest.raises(TenantKeyMissing, match="demo has no vault key"):
        StoredKeyProvider(open_store()).tenant_keys("demo")


def test_a_running_process_finds_a_later_version_when_a_row_names_it(open_store: OpenStore) -> None:
    running = StoredKeyProvider(open_store())
    before = running.ensure_tenant_keys("demo")
    assert StoredKeyProvider(open_store()).add_version("demo") == 2
    assert running.tenant_keys("demo") is before
    after = running.tenant_keys("demo", at_least=2)
    assert sorted(after.wraps) == [1, 2]
    assert (after.token, after.fingerprint, after.seal, after.guard) == (
        before.token,
        before.fingerprint,
        before.seal,
        before.guard,
    )
    with pytest.raises(TenantKeyMissing, match="wrapped by version 3"):
        running.tenant_keys("demo", at_least=3)


def test_a_version_that_a_dead_rotation_left_is_taken(open_store: OpenStore) -> None:
    running = StoredKeyProvider(open_store())
    running.ensure_tenant_keys("demo")
    open_store().add_secret("demo")
    assert running.add_version("demo") == 2


def test_what_lies_here_of_a_key_service_is_no_secret(tmp_path: Path, service: FakeKeyService) -> None:
    store = KmsKeyStore(service, tmp_path, key_ref=KEY)
    store.add_secret("demo")
    (secret,) = store.read_secrets("demo").values()
    (path,) = tmp_path.iterdir()
    assert path.name == "vault_demo.v1.kms.json"
    assert secret not in path.read_bytes()
    assert secret.hex() not in path.read_text()


def test_a_key_service_is_asked_once_a_process(tmp_path: Path, service: FakeKeyService) -> None:
    provider = open_kms_key_provider(service, tmp_path, key_ref=KEY)
    provider.ensure_tenant_keys("demo")
    asked = service.calls
    service.down = True
    for _ in range(5):
        provider.tenant_keys("demo")
    assert service.calls == asked


def test_a_key_service_that_is_down_is_not_a_missing_key(tmp_path: Path, service: FakeKeyService) -> None:
    open_kms_key_provider(service, tmp_path, key_ref=KEY).ensure_tenant_keys("demo")
    service.down = True
    provider = open_kms_key_provider(service, tmp_path, key_ref=KEY)
    with pytest.raises(KeyServiceDown):
        provider.tenant_keys("demo")
    # It comes back: nothing of the failure is kept.
    service.down = False
    assert provider.tenant_keys("demo").wrap_version == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_wrapped_key_opens_for_its_tenant_and_version_alone(tmp_path: Path, service: FakeKeyService) -> None:
    store = KmsKeyStore(service, tmp_path, key_ref=KEY)
    store.add_secret("demo")
    whole = (tmp_path / "vault_demo.v1.kms.json").read_text()
    for name in ("vault_other.v1.kms.json", "vault_demo.v2.kms.json"):
        (tmp_path / name).write_text(whole)
        (tmp_path / name).chmod(0o600)
    for tenant in ("other", "demo"):
        with pytest.raises(KeyRefused):
            store.read_secrets(tenant)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "nonsense", '{"key_ref": "tellergate-vault", "wrapped": "%%"}', '{"wrapped": 3}']
)
def test_a_damaged_file_is_said(tmp_path: Path, service: FakeKeyService, content: str) -> None:
    path = tmp_path / "vault_demo.v1.kms.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyRefused, match=r"vault_demo\.v1\.kms\.json"):
        KmsKeyStore(service, tmp_path, key_ref=KEY).read_secrets("demo")


def test_a_key_that_the_service_took_away_is_refused(tmp_path: Path, service: FakeKeyService) -> None:
    open_kms_key_provider(service, tmp_path, key_ref=KEY).ensure_tenant_keys("demo")
    service.known.clear()
    with pytest.raises(KeyRefused):
        open_kms_key_provider(service, tmp_path, key_ref=KEY).tenant_keys("demo")


def test_file_keys_are_what_they_were(tmp_path: Path) -> None:
    """Tokens of an installation stay its tokens: the derivation from a known secret is fixed."""
    path = tmp_path / "vault_demo.v1.key"
    path.write_text("00" * 32 + "\n")
    path.chmod(0o600)
    keys = FileKeyProvider(tmp_path).tenant_keys("demo")
    assert [keys.token.hex()[:16], keys.fingerprint.hex()[:16], keys.wraps[1].hex()[:16]] == [
        "ca6c9d85a0fcf53c",
        "373c8a7d42301388",
        "a7e9e79f1183ba4e",
    ]
    with pytest.raises(InvalidInput):
        FileKeyProvider(tmp_path).tenant_keys("../demo")
