"""Numbers that the masking bench makes up pass where real ones would: each scheme against a published example."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.masking import check_digits as check

EXAMPLES: list[tuple[Callable[[str], str | None], str, str]] = [
    (check.luhn, "7992739871", "79927398713"),
    (check.verhoeff, "236", "2363"),
    (check.aba, "02100002", "021000021"),
    (check.tfn, "12345678", "123456782"),
    (check.cpf, "529982247", "52998224725"),
    (check.bsn, "11122233", "111222333"),
    (check.pesel, "4405140135", "44051401359"),
    (check.steuer_id, "8609574271", "86095742719"),
    (check.nir, "2550814168025", "255081416802538"),
    (check.dni, "12345678", "12345678Z"),
    (check.codice_fiscale, "RSSMRA85T10A562", "RSSMRA85T10A562S"),
    (check.nric, "1234567", "S1234567D"),
    (check.tckn, "100000001", "10000000146"),
    (check.my_number, "12345678901", "123456789018"),
    (check.ppsn, "1234567", "1234567T"),
    (check.curp, "HEGG560427MVZRRL0", "HEGG560427MVZRRL04"),
    (check.clabe, "03218000011835971", "032180000118359719"),
]


@pytest.mark.parametrize(("function", "first", "whole"), EXAMPLES, ids=[function.__name__ for function, _, _ in EXAMPLES])
def test_check_digit(function: Callable[[str], str | None], first: str, whole: str) -> None:
    assert function(first) == whole


def test_iban_and_eleven() -> None:
    assert check.iban("GB", "WEST12345698765432") == "GB82WEST12345698765432"
    assert check.iban("DE", "370400440532013000") == "DE89370400440532013000"
    assert check.mod11_id("2012345678", (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) == "20123456786"
    assert check.mod11_id("04909185", (3, 2, 7, 6, 5, 4, 3, 2)) == "049091850"


def test_wallets() -> None:
    genesis = bytes.fromhex("62e907b15cbf27d5425399ebf6f0fb50ebb88f18")
    assert check.bitcoin(genesis) == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    assert check.segwit(bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
