"""Each class in each form in several surroundings: what the record knows is found wherever it stands. Invented people only."""

from __future__ import annotations

import pytest

from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.vault import KnownValue, KnownValues

P = PiiClass
SURROUNDINGS = ("{}", "re: {}, thanks", "({})", "x\n{}\ny", '{{"k":"{}"}}', "a;{};b")
FORMS: dict[tuple[PiiClass, str], tuple[str, ...]] = {
    (P.PERSON, "Jürgen Michael Müller-Schmidt"): (
        "Jürgen Michael Müller-Schmidt", "JÜRGEN MICHAEL MÜLLER-SCHMIDT", "jürgen michael müller-schmidt",
        "Juergen Mueller-Schmidt",
        "Jurgen Muller Schmidt", "Müller-Schmidt, Jürgen", "MUELLER-SCHMIDT/JUERGEN", "J. M. Müller-Schmidt", "JM Müller-Schmidt",
        "J. Müller-Schmidt", "Müller-Schmidt J", "Müller-Schmidt JM", "Jürgen Müller", "Jürgen M.", "juergenmuellerschmidt",
        "juergen_mueller_schmidt", "JuergenMuellerSchmidt", "Schmidt", "J-Ü-R-G-E-N", "Müller-Schmidts",
    ),
    (P.PERSON, "Siobhán O'Brien"): ("Siobhan OBrien", "O’Brien, Siobhán", "siobhan.obrien", "O'BRIEN", "S O'Brien", "Siobhán's"),
    (P.PERSON, "Nguyễn Thị Minh Khai"): ("Nguyen Thi Minh Khai", "Minh Khai Nguyen", "Khai", "NGUYEN T M K"),
    (P.PERSON, "Anna van der Berg"): ("A. van der Berg", "Berg, Anna van der", "Anna Berg", "vanderberg"),
    (P.PERSON, "王小明"): ("王小明", "小明"),
    (P.PERSON, "김민수"): ("김민수", "김민수님"),
    (P.PERSON, "Иванов Пётр"): ("Иванов Пётр", "Пётр Иванов", "Иванову"),
    (P.EMAIL, "j.muller-99@mail.example.co.uk"): (
        "j.muller-99@mail.example.co.uk", "J.MULLER-99@MAIL.EXAMPLE.CO.UK", "mailto:j.muller-99@mail.example.co.uk",
        "j dot muller dash 99 at mail dot example dot co dot uk", "j.muller-99 [at] mail [dot] example [dot] co [dot] uk",
        "j.muller-99(at)mail.example.co.uk", "j.muller-99@\nmail.example.co.uk", "j.muller-99",
    ),
    (P.PHONE, "+44 7911 123456"): (
        "+447911123456", "0044 7911 123456", "07911 123456", "(07911) 123-456", "+44 (0)7911 123456", "7911123456",
        "07911-123-456", "11123456",
    ),
    (P.CARD, "4000056655665556"): ("4000 0566 5566 5556", "4000-0566-5566-5556", "4000.0566.5566.5556", "400005665566 5556",
    "4000 0566\n5566 5556"),
    (P.IBAN, "GB29NWBK60161331926819"): ("GB29 NWBK 6016 1331 9268 19", "gb29nwbk60161331926819", "60161331926819",
    "31926819", "60-16-13 31926819"),
    (P.ACCOUNT, "0012345678"): ("0012345678", "00 1234 5678", "12345678", "0012-345-678"),
    (P.NATIONAL_ID, "529.982.247-25"): ("52998224725", "529 982 247 25", "529.982.247-25"),
    (P.PASSPORT, "AB1234567"): ("ab1234567", "AB 1234567", "AB-123-4567"),
    (P.BIRTH_DATE, "1988-03-03"): (
        "1988-03-03", "03/03/1988", "3/3/88", "03.03.1988", "3 March 1988", "March 3rd, 1988", "3-Mar-1988", "03MAR88",
        "19880303", "030388",
        "3. März 1988", "3 de marzo de 1988", "le 3 mars 1988", "3 marca 1988", "3 mars 1988", "1988年3月3日",
        "third of March nineteen eighty-eight",
        "March the third, eighty eight", "3 Mart 1988",
    ),
    (P.ADDRESS, "12 Rose Street, Leeds, LS1 4AB"): (
        "12 Rose Street, Leeds, LS1 4AB", "12 ROSE ST", "12 Rose Str.", "Rose Street 12", "LS1 4AB", "ls14ab",
        "12 Rose Street\nLeeds LS1 4AB",
    ),
    (P.ADDRESS, "Lange Straße 8a, 50667 Köln"): ("Lange Str. 8a", "Lange Strasse 8a", "lange straße 8a, 50667 köln", "50667"),
    (P.USERNAME, "jmuller88"): ("jmuller88", "JMULLER88", "@jmuller88"),
    (P.WALLET, "0x52908400098527886E0F7030069857D2E4169EE7"): ("0x52908400098527886e0f7030069857d2e4169ee7",),
    (P.CUSTOMER_ID, "CIF-887123"): ("CIF-887123", "cif887123", "CIF 887123"),
    (P.OTHER, "BLUE77X"): ("BLUE77X", "blue77x", "BLUE-77X"),
}  # fmt: skip


@pytest.mark.parametrize(("pii_class", "value"), list(FORMS), ids=[f"{one[0].value} {one[1]}" for one in FORMS])
def test_every_form_everywhere(pii_class: PiiClass, value: str) -> None:
    finder = KnownValueFinder(KnownValues("cus_one", "v1", (KnownValue(pii_class, value, "token"),)))
    readable = []
    for form in FORMS[pii_class, value]:
        for surrounding in SURROUNDINGS:
            text = surrounding.format(form)
            covered = {place for hit in finder.find(text) for place in range(hit.start, hit.end)}
            at = text.index(form) + len("mailto:" if form.startswith("mailto:") else "le " if form.startswith("le ") else "")
            end = text.index(form) + len(form.removesuffix("'s").removesuffix("님"))
            if any(text[place].isalnum() and place not in covered for place in range(at, end)):
                readable.append(text)
    assert readable == []


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ((P.PERSON, "Mark Rose"), "Mark my words: in May the rose garden opens. Rose is not here."),
        ((P.PERSON, "Ian Dee"), "show me the ID please, it is OK"),
        ((P.PERSON, "May Ling"), "It was paid in May 2024, on May 4 and on 4 May."),
        ((P.ADDRESS, "12 Rose Street, Leeds, 2000"), "I was in Leeds and paid 2000 there in a street"),
        ((P.ACCOUNT, "12345678"), "number 9123456780 and 112345678"),
        ((P.CARD, "4000056655665556"), "card ending 5556, •••• 5556"),
        ((P.BIRTH_DATE, "1988-03-03"), "3 March 1989, on 3 March, 13/03/1988"),
        ((P.OTHER, "abc"), "abc def"),
        ((P.SECRET, "1234"), "1234"),
    ],
)
def test_chance_is_no_hit(known: tuple[PiiClass, str], text: str) -> None:
    finder = KnownValueFinder(KnownValues("cus_one", "v1", (KnownValue(*known, "token"),)))
    assert [text[hit.start : hit.end] for hit in finder.find(text)] == []
