"""How numbers, telephones and addresses look in each country, as shapes: `#` a digit, `%` one from 1, `@` a letter."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from bench.masking import check_digits as check

Make = Callable[[random.Random, date], str]


def fill(shape: str, rng: random.Random) -> str:
    """Return the shape with its places filled."""
    kinds = {"#": string.digits, "%": "123456789", "@": string.ascii_uppercase}
    return "".join(rng.choice(kinds[one]) if one in kinds else one for one in shape)


@dataclass(frozen=True, slots=True)
class Country:
    """Hold a country's shapes. `national`, `routing` are (what people call it, how it is made); `iban` is the BBAN's shape."""

    group: str
    phone: str
    trunk: str
    mobile: tuple[str, ...]
    postcode: str
    currency: str
    national: tuple[tuple[str, Make], ...]
    passport: str
    license: str
    account: str
    routing: tuple[tuple[str, Make], ...] = ()
    iban: str = ""
    layout: str = "{street}, {postcode} {city}"
    date_order: str = "dmy"
    family_first: bool = False


def _shape(shape: str) -> Make:
    return lambda rng, _birth: fill(shape, rng)


def _checked(shape: str, function: Callable[[str], str | None], written: str = "") -> Make:
    """Make digits of a shape until they have a check digit; `written` places them, `#` a character each."""

    def make(rng: random.Random, _birth: date) -> str:
        while (number := function(fill(shape, rng))) is None:
            pass
        if not written:
            return number
        characters = iter(number)
        return "".join(next(characters) if one == "#" else one for one in written)

    return make


def _pesel(rng: random.Random, birth: date) -> str:
    month = birth.month + (20 if birth.year >= 2000 else 0)
    return check.pesel(f"{birth:%y}{month:02d}{birth:%d}{fill('####', rng)}")


def _nir(rng: random.Random, birth: date) -> str:
    return check.nir(f"{rng.choice('12')}{birth:%y%m}{rng.randint(1, 89):02d}{fill('######', rng)}")


def _personnummer(rng: random.Random, birth: date) -> str:
    number = check.luhn(f"{birth:%y%m%d}{fill('###', rng)}")
    return f"{number[:6]}-{number[6:]}"


def _codice_fiscale(rng: random.Random, birth: date) -> str:
    letters = "".join(rng.choice("BCDFGLMNPRSTVZ") for _ in range(6))
    day = birth.day + rng.choice((0, 40))
    return check.codice_fiscale(f"{letters}{birth:%y}{'ABCDEHLMPRST'[birth.month - 1]}{day:02d}{fill('@###', rng)}")


def _curp(rng: random.Random, birth: date) -> str:
    letters = "".join(rng.choice("BCDFGLMNPRSTVZ") for _ in range(4))
    return check.curp(f"{letters}{birth:%y%m%d}{rng.choice('HM')}{rng.choice(('DF', 'JC', 'NL'))}BCR{fill('#', rng)}")


def _rfc(rng: random.Random, birth: date) -> str:
    return "".join(rng.choice("BCDFGLMNPRSTVZ") for _ in range(4)) + f"{birth:%y%m%d}" + fill("@##", rng)


def _south_african(rng: random.Random, birth: date) -> str:
    return check.luhn(f"{birth:%y%m%d}{fill('####', rng)}08")


def _emirates(rng: random.Random, birth: date) -> str:
    number = check.luhn(f"784{birth.year}{fill('#######', rng)}")
    return f"{number[:3]}-{number[3:7]}-{number[7:14]}-{number[14:]}"


def _egyptian(rng: random.Random, birth: date) -> str:
    return f"{3 if birth.year >= 2000 else 2}{birth:%y%m%d}{fill('01#####', rng)}"


def _indonesian(rng: random.Random, birth: date) -> str:
    return f"3{fill('1', rng)}{rng.randint(1, 75):02d}{rng.randint(1, 20):02d}{birth:%d%m%y}{fill('000%', rng)}"


def _clabe(rng: random.Random, _birth: date) -> str:
    return check.clabe(f"{rng.choice(('002', '012', '014', '021', '072'))}180{fill('###########', rng)}")


def _aba(rng: random.Random, _birth: date) -> str:
    return check.aba(f"{rng.choice(('02', '03', '06', '07', '11', '12', '26', '31'))}{fill('######', rng)}")


def _nino(rng: random.Random, _birth: date) -> str:
    return rng.choice(("AB", "CE", "JK", "LM", "PX", "SR", "WL", "YT")) + fill("######", rng) + rng.choice("ABCD")


def _ssn(rng: random.Random, _birth: date) -> str:
    return f"{rng.randint(100, 650)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def _pan(rng: random.Random, _birth: date) -> str:
    return fill("@@@", rng) + "P" + fill("@####@", rng)


def _vietnamese(rng: random.Random, birth: date) -> str:
    return f"0{rng.choice(('01', '79', '31', '48'))}{rng.choice('01')}{birth:%y}{fill('######', rng)}"


def _chinese_year(rng: random.Random, birth: date) -> str:
    return check.nric(f"{birth:%y}{fill('#####', rng)}")


_CUIL = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_IRD = (3, 2, 7, 6, 5, 4, 3, 2)

COUNTRIES = {
    "US": Country("anglo", "+1", "", ("202 555 01##", "415 %## ####", "312 %## ####", "646 %## ####"), "#####", "USD",
        (("SSN", _ssn), ("social", _ssn)), "%########", "@#######", "##########", (("routing number", _aba), ("ABA", _aba)),
        layout="{street}, {city}, {region} {postcode}", date_order="mdy"),
    "UK": Country("anglo", "+44", "0", ("7700 900###", "7911 ######", "7%## ### ###", "20 7946 0###"), "@@# #@@", "GBP",
        (("NI number", _nino), ("NINO", _nino), ("UTR", _shape("%#########"))), "%########", "@@@@@%#####@@%@@", "########",
        (("sort code", _shape("##-##-##")),), "NWBK##############", "{street}, {city}, {postcode}"),
    "CA": Country("anglo", "+1", "", ("416 555 01##", "604 %## ####", "514 %## ####"), "@#@ #@#", "CAD",
        (("SIN", _checked("%#######", check.luhn, "### ### ###")), ("social insurance number", _checked("%#######", check.luhn))),
        "@@######", "@####-#####-#####", "#######", (("transit and institution", _shape("#####-00%")),),
        layout="{street}, {city}, {region} {postcode}", date_order="mdy"),
    "AU": Country("anglo", "+61", "0", ("491 570 ###", "4## ### ###", "2 5550 ####"), "####", "AUD",
        (("TFN", _checked("%#######", check.tfn, "### ### ###")), ("tax file number", _checked("%#######", check.tfn))),
        "@@#######", "########", "#########", (("BSB", _shape("0##-###")),), layout="{street}, {city} {region} {postcode}"),
    "NZ": Country("anglo", "+64", "0", ("21 ### ####", "27 ### ####", "9 555 ####"), "####", "NZD",
        (("IRD number", _checked("1#######", lambda digits: check.mod11_id(digits, _IRD), "###-###-###")),), "@@######",
        "@@######", "01-0###-0######-0#", layout="{street}, {city} {postcode}"),
    "IE": Country("anglo", "+353", "0", ("85 ### ####", "87 ### ####", "1 555 ####"), "@## @@##", "EUR",
        (("PPS number", _checked("#######", check.ppsn)), ("PPSN", _checked("#######", check.ppsn))), "@@#######", "###-###-###",
        "########", (("sort code", _shape("93-##-##")),), "AIBK93############", "{street}, {city}, {postcode}"),
    "DE": Country("eu", "+49", "0", ("151 ########", "170 #######", "30 ########"), "#####", "EUR",
        (("Steuer-ID", _checked("%#########", check.steuer_id, "## ### ### ###")), ("tax ID", _checked("%#########",
            check.steuer_id))),
        "C##@##@#K", "@##@##@##@#", "##########", iban="##################"),
    "FR": Country("eu", "+33", "0", ("6 ## ## ## ##", "7 ## ## ## ##", "1 ## ## ## ##"), "#####", "EUR",
        (("numéro de sécurité sociale", _nir), ("INSEE number", _nir)), "##@@#####", "############", "###########",
        iban="#######################"),
    "ES": Country("eu", "+34", "", ("6## ### ###", "6## ## ## ##", "91# ### ###"), "#####", "EUR",
        (("DNI", _checked("%#######", check.dni)),), "@@@######", "########@", "##########", iban="####################"),
    "IT": Country("eu", "+39", "", ("3## ### ####", "3## #######", "02 #### ####"), "#####", "EUR",
        (("codice fiscale", _codice_fiscale),), "@@#######", "U1@######@", "############", iban="@######################"),
    "NL": Country("eu", "+31", "0", ("6 ########", "6 ## ## ## ##", "20 ### ####"), "%### @@", "EUR",
        (("BSN", _checked("%#######", check.bsn)),), "N@@@@@##%", "5#########", "##########", iban="INGB##########"),
    "PL": Country("eu", "+48", "", ("601 ### ###", "5## ### ###", "22 ### ## ##"), "##-###", "PLN",
        (("PESEL", _pesel),), "E@#######", "#####/##/####", "##############", iban="########################"),
    "SE": Country("eu", "+46", "0", ("70 ### ## ##", "73 ### ## ##", "8 ### ## ##"), "### ##", "SEK",
        (("personnummer", _personnummer),), "########", "########", "###-### ###-#", iban="####################"),
    "BR": Country("latam", "+55", "", ("11 9#### ####", "21 9#### ####", "31 9####-####"), "#####-###", "BRL",
        (("CPF", _checked("%########", check.cpf, "###.###.###-##")), ("CPF", _checked("%########", check.cpf))), "@@######",
        "###########", "#####-#", (("agência", _shape("%###")),), layout="{street}, {city} - {region}, {postcode}"),
    "MX": Country("latam", "+52", "", ("55 #### ####", "33 #### ####", "81 #### ####"), "#####", "MXN",
        (("CURP", _curp), ("RFC", _rfc)), "@########", "@##@#####", "###########",
            layout="{street}, {postcode} {city}, {region}"),
    "CO": Country("latam", "+57", "", ("300 ### ####", "315 ### ####", "320 #######"), "######", "COP",
        (("cédula", _shape("%.###.###.###")), ("cédula", _shape("%#######"))), "@@######", "##########", "###-######-##",
        layout="{street}, {city}, {postcode}"),
    "AR": Country("latam", "+54", "0", ("11 #### ####", "9 11 #### ####", "351 ### ####"), "C####@@@", "ARS",
        (("CUIL", _checked("20%#######", lambda digits: check.mod11_id(digits, _CUIL), "##-########-#")), ("DNI",
            _shape("%#.###.###"))),
        "AA@######", "########", "###-######/#", layout="{street}, {postcode} {city}"),
    "IN": Country("south_asia", "+91", "0", ("98### #####", "9#########", "70### #####"), "%#####", "INR",
        (("PAN", _pan), ("Aadhaar", _checked("%##########", check.verhoeff, "#### #### ####")),
         ("Aadhaar", _checked("%##########", check.verhoeff))), "@#######", "MH## 20#########", "###############",
        (("IFSC", _shape("HDFC0######")), ("IFSC code", _shape("SBIN0######"))), layout="{street}, {city}, {region} {postcode}"),
    "SG": Country("sea", "+65", "", ("8### ####", "9### ####", "6### ####"), "######", "SGD",
        (("NRIC", _chinese_year), ("NRIC number", _chinese_year)), "E#######@", "S#######@", "###-#####-#",
        layout="{street}, {city} {postcode}", family_first=True),
    "VN": Country("sea", "+84", "0", ("90 ### ####", "912 ### ###", "38 ### ## ##"), "######", "VND",
        (("CCCD", _vietnamese), ("citizen ID", _vietnamese)), "@#######", "############", "#############",
        layout="{street}, {city} {postcode}", family_first=True),
    "PH": Country("sea", "+63", "0", ("917 ### ####", "998 ### ####", "2 8### ####"), "####", "PHP",
        (("TIN", _shape("%##-###-###-000")), ("SSS number", _shape("34-#######-#"))), "P#######@", "@##-##-######", "##########",
        layout="{street}, {postcode} {city}"),
    "ID": Country("sea", "+62", "0", ("812 #### ####", "857 #### ####", "21 #### ####"), "#####", "IDR",
        (("NIK", _indonesian), ("NPWP", _shape("##.###.###.%-###.000"))), "@#######", "############", "##########",
        layout="{street}, {city} {postcode}"),
    "JP": Country("east_asia", "+81", "0", ("90 #### ####", "80 #### ####", "3 #### ####"), "###-####", "JPY",
        (("My Number", _checked("%##########", check.my_number)), ("My Number", _checked("%##########", check.my_number,
            "#### #### ####"))),
        "@@#######", "############", "#######", layout="{street}, {city} {postcode}", date_order="ymd"),
    "NG": Country("africa", "+234", "0", ("803 ### ####", "806 ### ####", "901 ### ####"), "######", "NGN",
        (("BVN", _shape("22#########")), ("NIN", _shape("%##########"))), "A########", "@@@#####@@##", "##########",
        layout="{street}, {city}"),
    "KE": Country("africa", "+254", "0", ("722 ######", "712 ### ###", "110 ######"), "#####", "KES",
        (("ID number", _shape("%#######")), ("KRA PIN", _shape("A0########@"))), "@#######", "@@######", "#############",
        layout="{street}, {city}, {postcode}"),
    "ZA": Country("africa", "+27", "0", ("82 ### ####", "73 ### ####", "11 ### ####"), "####", "ZAR",
        (("ID number", _south_african), ("SA ID", _south_african)), "A########", "##########@@", "##########",
        (("branch code", _shape("######")),), layout="{street}, {city}, {postcode}"),
    "GH": Country("africa", "+233", "0", ("24 ### ####", "55 ### ####", "30 ### ####"), "@@-###-####", "GHS",
        (("Ghana Card", _shape("GHA-#########-#")), ("TIN", _shape("P00########"))), "G#######", "@@@-########-#####",
            "#############",
        layout="{street}, {city}, {postcode}"),
    "TR": Country("mena", "+90", "0", ("532 ### ## ##", "505 ### ## ##", "212 ### ## ##"), "34###", "TRY",
        (("TC kimlik no", _checked("%########", check.tckn)), ("TCKN", _checked("%########", check.tckn))), "U########", "######",
        "########", iban="000##0################"),
    "AE": Country("mena", "+971", "0", ("50 ### ####", "55 ### ####", "4 ### ####"), "#####", "AED",
        (("Emirates ID", _emirates),), "@########", "#######", "############", iban="0##################",
        layout="{street}, {city}"),
    "SA": Country("mena", "+966", "0", ("50 ### ####", "55 ### ####", "11 ### ####"), "#####", "SAR",
        (("national ID", _shape("1#########")), ("Iqama", _shape("2#########"))), "@########", "##########", "##############",
        iban="##000000############", layout="{street}, {city} {postcode}"),
    "EG": Country("mena", "+20", "0", ("100 ### ####", "112 ### ####", "2 #### ####"), "#####", "EGP",
        (("national ID", _egyptian),), "A########", "##############", "############", layout="{street}, {city} {postcode}"),
    "IL": Country("mena", "+972", "0", ("52 ### ####", "54 ### ####", "3 ### ####"), "#######", "ILS",
        (("teudat zehut", _checked("%#######", check.luhn)), ("ID number", _checked("%#######", check.luhn))), "########",
            "#######",
        "######", iban="###################", layout="{street}, {city} {postcode}"),
}  # fmt: skip


def make_iban(code: str, rng: random.Random) -> str:
    """Return an IBAN of a country that has them."""
    return check.iban("GB" if code == "UK" else code, fill(COUNTRIES[code].iban, rng))


def make_wallet(rng: random.Random) -> str:
    """Return an Ethereum or Bitcoin address."""
    kind = rng.choice(("eth", "btc", "bech32"))
    if kind == "eth":
        return f"0x{rng.getrandbits(160):040x}"
    payload = rng.getrandbits(159).to_bytes(20, "big")
    return check.bitcoin(payload) if kind == "btc" else check.segwit(payload)


def make_card(rng: random.Random) -> str:
    """Return a card number of a brand, valid by Luhn."""
    shape = rng.choice(
        ("4##############", "4##############", "51#############", "55#############", "37############", "6011###########")
    )
    return check.luhn(fill(shape, rng))
