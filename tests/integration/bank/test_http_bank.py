"""A bank's API that misbehaves: no wrong answer is taken for a right one, no wait is endless, no connection goes elsewhere."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import SetupError
from serving.bank.access import BankAccess, open_bank
from serving.bank.http_bank import HttpBank
from serving.bank.port import AckStatus, BankUnavailable
from tests.doubles.bank_server import TOKEN, BankServer, Fault
from tests.integration.bank.counter import outside
from tests.integration.bank.test_bank_conformance import make_instruction


@pytest.fixture
def bank(bank_server: BankServer) -> Iterator[HttpBank]:
    """An adapter with a short deadline."""
    opened = HttpBank(base_url=bank_server.url, token=TOKEN, deadline_s=1)
    yield opened
    opened.close()


_FAULTS: list[tuple[Fault, str]] = [
    ("error500", "bank_unavailable"), ("busy", "bank_unavailable"), ("bare404", "bank_unavailable"),
    ("bare409", "bank_unavailable"), ("unauthorized", "bank_not_authorized"), ("redirect", "bank_redirects"),
    ("garbage", "bank_answer_unreadable"), ("endless_brackets", "bank_answer_unreadable"),
    ("repeated_name", "bank_answer_unreadable"), ("wrong_id", "bank_answer_unreadable"), ("endless", "bank_answer_unreadable"),
    ("gzip", "bank_answer_unreadable"), ("dropped", "bank_broke_off"), ("done_then_dropped", "bank_broke_off"),
    ("done_then_silent", "bank_timeout"), ("drip_head", "bank_timeout"), ("drip_body", "bank_timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "code"), _FAULTS)
def test_a_faulty_answer_is_no_answer_and_the_next_try_is_clean(
    bank_server: BankServer, bank: HttpBank, fault: Fault, code: str
) -> None:
    other = BankServer()
    bank_server.elsewhere = other.url
    try:
        for act in ("send", "find"):
            instruction = make_instruction()
            bank_server.faults.append(fault)
            with pytest.raises(BankUnavailable) as raised:
                bank.send(instruction) if act == "send" else bank.find(instruction.instruction_id)
            assert raised.value.code == code
            assert raised.value.retry_after_s == (120 if fault == "busy" else 0)
            assert bank.send(instruction).status is AckStatus.ACCEPTED
            assert bank_server.carried_out[outside(instruction.instruction_id)] == 1
        assert other.requests == []
    finally:
        other.stop()


def test_a_bank_that_is_not_there(bank_server: BankServer, bank: HttpBank) -> None:
    bank_server.stop()
    with pytest.raises(BankUnavailable) as raised:
        bank.send(make_instruction())
    assert raised.value.code == "bank_unreachable"


def test_a_wrong_token_is_no_refusal(bank_server: BankServer) -> None:
    bank = HttpBank(base_url=bank_server.url, token="another", deadline_s=1)
    with pytest.raises(BankUnavailable) as raised:
        bank.send(make_instruction())
    bank.close()
    assert raised.value.code == "bank_not_authorized"
    assert "another" not in raised.value.message
    assert not bank_server.carried_out


def test_only_a_certificate_that_we_trust_for_this_name_gets_an_instruction(tmp_path: Path) -> None:
    certificate, key = _make_certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = BankServer(tls=context)
    try:
        for ca_file in (None, _make_certificate(tmp_path, "192.0.2.1")[0]):
            stranger = HttpBank(base_url=server.url, token=TOKEN, ca_file=ca_file, deadline_s=5)
            with pytest.raises(BankUnavailable) as raised:
                stranger.send(make_instruction())
            stranger.close()
            assert raised.value.code == "bank_unreachable"
        trusted = HttpBank(base_url=server.url, token=TOKEN, ca_file=certificate, deadline_s=5)
        assert trusted.send(make_instruction()).status is AckStatus.ACCEPTED
        by_name = HttpBank(base_url=server.url.replace("127.0.0.1", "localhost"), token=TOKEN, ca_file=certificate, deadline_s=5)
        with pytest.raises(BankUnavailable):
            by_name.send(make_instruction())
        trusted.close()
        by_name.close()
    finally:
        server.stop()
    assert sum(server.carried_out.values()) == 1


def test_a_certificate_file_that_holds_none_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    access = BankAccess(base_url="https://bank.example", token=TOKEN, ca_file=tmp_path / "ca.pem")
    with pytest.raises(SetupError, match="TELLERGATE_BANK_CA_FILE"):
        open_bank(access, folder=tmp_path)


def _make_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test bank")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{address}.pem", folder / f"{address}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return files
