"""Names that words or lists give away, of every culture, and what is none."""

from __future__ import annotations

import pytest

from masking.arbitration import Candidate
from masking.classes import PiiClass
from masking.name_rules import find_names
from masking.never_mask import trim_name


def _covered(text: str, name: str) -> bool:
    at = text.index(name)
    return any(start <= at and at + len(name) <= end for start, end, _ in find_names(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Spoke w/ Nguyen Thi Minh Khai re wire", "Nguyen Thi Minh Khai"),
        ("Inbound from Lindiwe Dlamini, verified", "Lindiwe Dlamini"),
        ('body.customer="OLUWASEUN ADEBAYO"', "OLUWASEUN ADEBAYO"),
        ("TP OKAFOR, Hauwa rcvd funds", "OKAFOR, Hauwa"),
        ("Herr Dr. Zschokkenhuber hat angerufen", "Zschokkenhuber"),
        ("my name is Xyvara Qellbrandt and", "Xyvara Qellbrandt"),
        ("je m'appelle Yvonique", "Yvonique"),
        ("benim adım Gökçenur", "Gökçenur"),
        ("my wife Zarquelle called", "Zarquelle"),
        ("Kind regards,\nQuillon Vantreight", "Quillon Vantreight"),
        ("Beneficiary: Sanne van den Berg", "Sanne van den Berg"),
        ("| Apr 13 | K. Reddy | rent |", "K. Reddy"),
        (":59:/6495500220\nÁLVARO ORTUÑO\n:70:", "ÁLVARO ORTUÑO"),
        ("Name (native script): सुनीता पटेल", "सुनीता पटेल"),
        ("Клиент: Иванов Сергей Петрович просит перевод", "Иванов Сергей"),
        ("佐藤 美咲と申します。電話番号は", "佐藤 美咲"),
        ("王小明先生您好", "王小明"),
        ("hello its Hafiz again", "Hafiz"),
        ("| Jun 05 | H. Zvarna | rent |", "H. Zvarna"),
        ('["Angus Quellmarsh","446715389","2271.94"]', "Angus Quellmarsh"),
        ("mando 20 euro para Luana da Silva, gracias", "Luana da Silva"),
    ],
)
def test_a_name_is_found_without_a_model(text: str, name: str) -> None:
    assert _covered(text, name)


@pytest.mark.parametrize(
    "text",
    [
        "My daughter needs to open an account, can my friend transfer money?",
        "I'm going on holiday to France for six weeks",
        "Dear customer, thank you for your payment",
        "Account: Savings, Status: Pending, Reason: Insufficient funds",
        "please transfer to savings and pay the card",
        "the landlord says he hasn't received it",
        "Mark the payment as paid and grant access in May",
    ],
)
def test_everyday_words_are_no_names(text: str) -> None:
    assert list(find_names(text)) == []


def _guess(text: str, surface: str) -> Candidate:
    start = text.index(surface)
    return Candidate(start, start + len(surface), PiiClass.PERSON, 0.5, "model")


@pytest.mark.parametrize(
    ("surface", "left"),
    [
        ("Dear Marta Kowalska", "Marta Kowalska"),
        ("Mr Okonkwo", "Okonkwo"),
        ("txn Marta", "Marta"),
        ("April Jones", "April Jones"),
        ("van den Berg", "van den Berg"),
    ],
)
def test_titles_and_everyday_words_at_the_edge_of_a_guess_go(surface: str, left: str) -> None:
    text = f"x {surface} y"
    trimmed = trim_name(_guess(text, surface), text)
    assert trimmed is not None
    assert text[trimmed.start : trimmed.end] == left


@pytest.mark.parametrize("surface", ["Paris", "Account Balance", "May", "refund", "payment"])
def test_a_guess_of_towns_and_everyday_words_is_no_name(surface: str) -> None:
    text = f"x {surface} y"
    assert trim_name(_guess(text, surface), text) is None
