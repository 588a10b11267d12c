"""The key service over HTTP: what it wraps opens for the same tenant and version, and its faults are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from masking.key_services import KeyRefused, KeyServiceDown
from masking.keys import FileKeyProvider, StoredKeyProvider
from serving.key_service.access import KeyServiceAccess, open_key_provider
from serving.key_service.transit import TransitKeyService
from tests.doubles.transit_server import TOKEN, Fault, TransitServer

KEY = "tellergate-vault"
CONTEXT = {"tenant_id": "demo", "version": "1"}


@pytest.fixture
def server() -> Iterator[TransitServer]:
    served = TransitServer(KEY)
    yield served
    served.close()


@pytest.fixture
def service(server: TransitServer) -> TransitKeyService:
    return TransitKeyService(base_url=server.url, token=TOKEN)


def _provider(server: TransitServer, folder: Path) -> StoredKeyProvider:
    return open_key_provider(KeyServiceAccess(base_url=server.url, token=TOKEN), secrets_dir=folder)


def test_keys_of_a_tenant_live_behind_the_service(server: TransitServer, tmp_path: Path) -> None:
    keys = _provider(server, tmp_path).ensure_tenant_keys("demo")
    assert _provider(server, tmp_path).tenant_keys("demo") == keys
    assert _provider(server, tmp_path).add_version("demo") == 2
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["vault_demo.v1.kms.json", "vault_demo.v2.kms.json"]
    assert set(server.requests) == {f"/v1/transit/encrypt/{KEY}", f"/v1/transit/decrypt/{KEY}"}


def test_what_is_wrapped_opens_in_its_context_alone(service: TransitKeyService) -> None:
    secret, wrapped = service.make_data_key(KEY, context=CONTEXT)
    assert service.unwrap(KEY, wrapped, context=CONTEXT) == secret
    for context in ({"tenant_id": "demo", "version": "2"}, {"tenant_id": "other", "version": "1"}, {}):
        with pytest.raises(KeyRefused) as refused:
            service.unwrap(KEY, wrapped, context=context)
        # The service repeats what it was sent; that stays there.
        assert wrapped.decode() not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("sealed", KeyServiceDown), ("dropped", KeyServiceDown), ("garbage", KeyRefused), ("endless", KeyRefused),
        ("redirect", KeyRefused), ("bare", KeyRefused), ("deep", KeyRefused),
    ],
)  # fmt: skip
def test_faults_are_told_apart_and_pass(
    server: TransitServer, service: TransitKeyService, fault: Fault, error: type[Exception]
) -> None:
    secret, wrapped = service.make_data_key(KEY, context=CONTEXT)
    server.fault = fault
    with pytest.raises(error):
        service.unwrap(KEY, wrapped, context=CONTEXT)
    server.fault = None
    assert service.unwrap(KEY, wrapped, context=CONTEXT) == secret


def test_a_service_that_is_gone_and_one_that_knows_nobody(server: TransitServer) -> None:
    gone = TransitKeyService(base_url="http://127.0.0.1:9", token=TOKEN)
    with pytest.raises(KeyServiceDown):
        gone.make_data_key(KEY, context=CONTEXT)
    with pytest.raises(KeyRefused, match="403"):
        TransitKeyService(base_url=server.url, token="another").make_data_key(KEY, context=CONTEXT)
    with pytest.raises(KeyRefused, match="400"):
        TransitKeyService(base_url=server.url, token=TOKEN).make_data_key("no-such-key", context=CONTEXT)


def test_without_settings_secrets_are_files(tmp_path: Path) -> None:
    assert isinstance(open_key_provider(KeyServiceAccess(), secrets_dir=tmp_path), FileKeyProvider)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"base_url": "http://kms.example.com", "token": "t"}, "https"),
        ({"base_url": "https://user:pw@kms.example.com", "token": "t"}, "bare base URL"),
        ({"base_url": "https://kms.example.com?x=1", "token": "t"}, "bare base URL"),
        ({"base_url": "https://kms.example.com"}, "TELLERGATE_KMS_TOKEN"),
        ({"base_url": "https://kms.example.com", "token": "a\nb"}, "printable"),
        ({"token": "t"}, "with TELLERGATE_KMS_URL only"),
        ({"key": "../sys"}, "pattern"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KeyServiceAccess.model_validate(given)
