"""Numbers of money: cards, accounts, routing numbers, wallets. IBANs are read character by character in `patterns`."""

from __future__ import annotations

import re

from masking import national_checks as check
from masking.classes import PiiClass
from masking.rule import CONTEXT_SCORE, LabelledRule, Rule, ShapeRule, numbers, shape
from masking.validators import has_digits, is_aba_routing, is_card_number, is_wallet_by_check

_BASE58 = "1-9A-HJ-NP-Za-km-z"
_BECH32 = "02-9ac-hj-np-z"

CARD_RULES: tuple[Rule, ...] = (
    numbers(PiiClass.CARD, r"\d{13,19}", is_card_number),
    # Four groups of four that begin like a card are one, also with a slip of the pen.
    numbers(PiiClass.CARD, r"[2-6]\d{15}", layout=r"\d{4}([ \-.\u00a0])\d{4}\1\d{4}\1\d{4}", score=CONTEXT_SCORE),
    numbers(PiiClass.CARD, r"3[47]\d{13}", layout=r"\d{4}([ \-.\u00a0])\d{6}\1\d{5}", score=CONTEXT_SCORE),
    LabelledRule(PiiClass.CARD, 12, 19, 12, digits_only=True),
)
ACCOUNT_RULES: tuple[Rule, ...] = (
    numbers(PiiClass.ACCOUNT, r"\d{18}", check.is_clabe),
    numbers(PiiClass.ACCOUNT, r"\d{22}", check.is_cbu),
    numbers(PiiClass.ACCOUNT, r"\d{26}", check.is_polish_account),
    numbers(PiiClass.ACCOUNT, r"\d{15,16}", layout=r"(?:0[1-9]|[1-3]\d)-\d{4}-\d{7}-\d{2,3}"),
    ShapeRule(PiiClass.ACCOUNT, re.compile(r":\d\d[A-Z]?:/(?P<v>\d[\dA-Z-]{4,33})(?![\w-])"), needs=(":/",)),
    # A number behind a name, in a list or in a row: "Ann Lee; 1234567;", "to Ann Lee, 1234567".
    ShapeRule(
        PiiClass.ACCOUNT,
        re.compile(
            r"(?:[^\W\d_a-z][^\W\d_'’.-]{1,20}|[A-Z]\.)[ ][^\W\d_a-z][^\W\d_]{1,20}[\"']?\s?[;|,\t]\s?[\"']?"
            r"(?P<v>(?!(?:19|20)\d{6}(?!\d))\d{6,18}|\d{2,4}-\d{4,9}(?:-\d{1,3})?|\d{5,12}-\d)(?=[\"']?\s?(?:[;|,\t\n.)\]]|$))(?![.,]\d)"
        ),
        score=CONTEXT_SCORE,
    ),
    ShapeRule(
        PiiClass.ACCOUNT,
        re.compile(
            r"(?<![\w.,])(?:from|to|2|into|acc|a/c|von|nach|auf|de|vers|para|naar|til|till)\s(?P<v>(?!(?:19|20)\d{6}(?!\d))\d{7,18}|\d{2,3}-\d{5,9}-\d{1,3})"
            r"(?![\w%]|[.,:/-]\d|\s?(?:[A-Z]{3}\b|[€$£¥₹]|euro|dollar|pound|naira|yen))",
            re.IGNORECASE,
        ),
        score=CONTEXT_SCORE,
    ),
    LabelledRule(PiiClass.ACCOUNT, 5, 26, 5),
)
ROUTING_RULES: tuple[Rule, ...] = (
    numbers(PiiClass.ROUTING, r"[A-Z]{4}0[A-Z0-9]{6}", has_digits(4), layout=r"[A-Z]{4}0[A-Z0-9]{6}|[a-z]{4}0[a-z0-9]{6}"),
    numbers(PiiClass.ROUTING, r"(?:0\d|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2])\d{7}", is_aba_routing, score=CONTEXT_SCORE),
    # A sort code and the account behind it.
    ShapeRule(PiiClass.ROUTING, re.compile(r"(?<![\w-])(?P<v>\d{2}-\d{2}-\d{2})(?=[ /,;|]{1,3}\d{8}(?![\w-]))"), needs=("-",)),
    ShapeRule(PiiClass.ACCOUNT, re.compile(r"(?<=\d\d-\d\d-\d\d[ /,;|])(?P<v>\d{8})(?![\w-])"), needs=("-",)),
    LabelledRule(PiiClass.ROUTING, 3, 12, 3),
)
WALLET_RULES: tuple[Rule, ...] = (
    shape(PiiClass.WALLET, r"0x[0-9A-Fa-f]{40}", needs=("0x",)),
    shape(PiiClass.WALLET, r"0X[0-9A-Fa-f]{40}", needs=("0x",)),
    shape(PiiClass.WALLET, rf"(?:bc|tb|ltc)1[{_BECH32}]{{25,87}}|(?:BC|TB|LTC)1[{_BECH32.upper()}]{{25,87}}", needs=("1",)),
    shape(PiiClass.WALLET, rf"[13][{_BASE58}]{{25,34}}", is_wallet_by_check),
    shape(PiiClass.WALLET, rf"[LMDTAX][{_BASE58}]{{26,33}}", is_wallet_by_check),
    shape(
        PiiClass.WALLET,
        rf"(?=[{_BASE58}]{{0,40}}[a-z])(?=[{_BASE58}]{{0,40}}[A-HJ-NP-Z])T[{_BASE58}]{{33}}",
        has_digits(2),
        score=CONTEXT_SCORE,
    ),
    shape(PiiClass.WALLET, r"addr1[0-9a-z]{50,110}", needs=("addr1",)),
    shape(PiiClass.WALLET, r"4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}"),
    shape(PiiClass.WALLET, r"r[1-9A-HJ-NP-Za-km-z]{24,34}", has_digits(3), score=CONTEXT_SCORE),
    shape(PiiClass.WALLET, r"[a-z0-9-]{3,40}\.eth", flags=re.IGNORECASE, needs=(".",)),
    LabelledRule(PiiClass.WALLET, 24, 110, 3),
)
