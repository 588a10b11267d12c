"""National, tax and identity numbers, passports and licences of many countries."""

from __future__ import annotations

from masking import national_checks as check
from masking.classes import PiiClass
from masking.rule import CONTEXT_SCORE, LabelledRule, Rule, numbers
from masking.validators import is_aadhaar, is_cpf, is_us_ssn

_ID = PiiClass.NATIONAL_ID
# How a number is parted: a space or a mark between fixed groups.
_ANY = r"[ .\-/–]?"

NATIONAL_RULES: tuple[Rule, ...] = (
    # Written with their own marks, so the shape speaks for itself.
    numbers(_ID, r"\d{9}", is_us_ssn, layout=r"\d{3}([-–‐ .])\d{2}\1\d{4}"),
    numbers(_ID, r"9\d{8}", layout=r"9\d{2}-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-\d{4}"),
    numbers(
        _ID,
        r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]",
        layout=r"[A-Za-z]{2}(?: ?\d{6} ?| ?\d{2} \d{2} \d{2} ?|-?\d{2}-\d{2}-\d{2}-?)[A-Da-d]",
    ),
    numbers(_ID, r"\d{10}", check.is_nhs, layout=r"\d{3}[ -]\d{3}[ -]\d{4}"),
    numbers(_ID, r"\d{9}", check.is_luhn_sum, layout=r"\d{3}([ -])\d{3}\1\d{3}"),
    numbers(_ID, r"\d{9}", check.is_tfn, layout=r"\d{3}([ -])\d{3}\1\d{3}", score=CONTEXT_SCORE),
    numbers(_ID, r"\d{11}", is_cpf),
    numbers(_ID, r"\d{11}", layout=r"\d{3}\.\d{3}\.\d{3}-\d{2}", score=CONTEXT_SCORE),
    numbers(_ID, r"\d{14}", check.is_cnpj),
    numbers(_ID, r"\d{14}", layout=r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", score=CONTEXT_SCORE),
    numbers(_ID, r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d"),
    numbers(_ID, r"[A-ZÑ&]{3,4}\d{6}[A-Z0-9]{3}", lambda text: check.has_short_date(text[-9:-3])),
    numbers(_ID, r"\d{11}", check.is_cuit, layout=rf"\d{{2}}{_ANY}\d{{8}}{_ANY}\d"),
    numbers(_ID, r"\d{7,8}[\dK]", check.is_rut, layout=r"\d{1,2}\.?\d{3}\.?\d{3}-[\dKk]"),
    numbers(_ID, r"\d{7,9}[\dK]", layout=r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", score=CONTEXT_SCORE),
    numbers(_ID, r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]"),
    numbers(_ID, r"\d{2}[A-Z]{5}\d{4}[A-Z][A-Z\d]Z[A-Z\d]"),
    numbers(_ID, r"\d{12}", is_aadhaar, layout=r"\d{4}([ -])\d{4}\1\d{4}"),
    numbers(_ID, r"\d{12}", check.is_my_number, layout=r"\d{4}([ -])\d{4}\1\d{4}"),
    numbers(_ID, r"\d{12}", layout=r"[2-9]\d{3} \d{4} \d{4}", score=CONTEXT_SCORE),
    numbers(_ID, r"[STFGM]\d{7}[A-Z]", check.is_nric, layout=r"[A-Za-z][ -]?\d{7}[ -]?[A-Za-z]"),
    numbers(_ID, r"[STFGM]\d{7}[A-Z]", score=CONTEXT_SCORE),
    numbers(_ID, r"784\d{12}", layout=r"784-?\d{4}-?\d{7}-?\d"),
    numbers(_ID, r"GHA\d{10}"),
    numbers(_ID, r"[AP]\d{9}[A-Z]", score=CONTEXT_SCORE),
    numbers(
        _ID,
        r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]",
        check.is_codice_fiscale,
        layout=r"[A-Za-z]{3} ?[A-Za-z]{3} ?\w{5} ?\w{5}",
    ),
    numbers(_ID, r"[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]", score=CONTEXT_SCORE),
    numbers(_ID, r"(?:\d{8}|[XYZ]\d{7})[A-Z]", check.is_spanish, layout=r"[XYZxyz]?[ -]?[\d.]{7,10}[ -]?[A-Za-z]"),
    numbers(_ID, r"[XYZ]\d{7}[A-Z]", score=CONTEXT_SCORE),
    numbers(_ID, r"\d{7}[A-W][A-IW]?", check.is_ppsn),
    numbers(_ID, r"\d{10}", check.is_personnummer, layout=r"\d{6}[-+]\d{4}"),
    numbers(_ID, r"(?:19|20)\d{10}", check.is_personnummer, layout=r"\d{8}[-+ ]?\d{4}"),
    numbers(_ID, r"\d{10}", check.is_cpr, layout=r"\d{6}-\d{4}", score=CONTEXT_SCORE),
    numbers(_ID, r"\d{9}[0-9A-Y]", check.is_hetu, layout=r"\d{6}[-+A-Fa-f]\d{3}[0-9A-Ya-y]"),
    numbers(_ID, r"\d{6}[A-F]\d{3}[0-9A-Y]", lambda text: check.is_hetu(text[:6] + text[7:])),
    numbers(_ID, r"\d{11}", check.is_norwegian, layout=rf"\d{{6}}{_ANY}\d{{5}}"),
    numbers(_ID, r"\d{11}", check.is_pesel),
    numbers(_ID, r"\d{11}", check.is_tckn),
    numbers(_ID, r"\d{11}", check.is_german_tax_id, layout=r"\d{2} ?\d{3} ?\d{3} ?\d{3}"),
    numbers(_ID, r"\d{11}", check.is_belgian, layout=r"\d{2}\.?\d{2}\.?\d{2}[-. ]?\d{3}[-. ]?\d{2}"),
    numbers(_ID, r"\d{11}", check.is_baltic),
    numbers(_ID, r"\d{11}", layout=r"\d{6}-\d{5}", check=check.is_cpr),
    numbers(_ID, r"\d{10}", check.is_czech, layout=r"\d{6}/\d{4}"),
    numbers(_ID, r"\d{13}", check.is_cnp),
    numbers(_ID, r"\d{13}", check.is_jmbg),
    numbers(_ID, r"\d{13}", check.is_south_african, layout=r"\d{6} ?\d{4} ?\d{2} ?\d|\d{6} ?\d{4} ?\d{3}"),
    numbers(_ID, r"\d{13}", check.is_korean, layout=r"\d{6}-\d{7}"),
    numbers(_ID, r"756\d{10}", check.is_ahv),
    numbers(_ID, r"756\d{10}", layout=r"756\.\d{4}\.\d{4}\.\d{2}", score=CONTEXT_SCORE),
    numbers(_ID, r"[1-478]\d{4}(?:\d{2}|2[AB])\d{8}", check.is_nir),
    numbers(_ID, r"\d{17}[\dX]", check.is_chinese),
    numbers(_ID, r"[A-Z][12]\d{8}", check.is_taiwanese),
    numbers(_ID, r"[A-Z]{1,2}\d{6}[\dA]", check.is_hkid, layout=r"[A-Za-z]{1,2}\d{6}\([\dAa]\)|[A-Za-z]{1,2}\d{6}[\dAa]"),
    numbers(_ID, r"\d{16}", check.is_indonesian),
    numbers(_ID, r"\d{12}", check.is_malaysian, layout=r"\d{6}-\d{2}-\d{4}"),
    numbers(_ID, r"\d{14}", check.is_egyptian),
    numbers(_ID, r"\d{15}", layout=r"\d{2}\.\d{3}\.\d{3}\.\d-\d{3}\.\d{3}"),
    numbers(_ID, r"\d{10}", layout=r"3[34]-\d{7}-\d"),
    numbers(_ID, r"\d{13}", layout=r"\d{5}-\d{7}-\d"),
    LabelledRule(_ID, 5, 22, 4),
)
PASSPORT_RULES: tuple[Rule, ...] = (LabelledRule(PiiClass.PASSPORT, 6, 12, 3),)
LICENCE_RULES: tuple[Rule, ...] = (
    numbers(PiiClass.LICENSE, r"[A-Z9]{5}\d{6}[A-Z9]{2}\d[A-Z]{2}(?:\d{2})?"),
    numbers(PiiClass.LICENSE, r"[A-Z]{2}\d{2}(?:19|20)\d{2}\d{7}", layout=r"[A-Za-z]{2}[ -]?\d{2}[ -/]?\d{4}[ -/]?\d{7}"),
    LabelledRule(PiiClass.LICENSE, 5, 22, 3),
)
