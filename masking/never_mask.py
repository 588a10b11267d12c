"""What must survive because the facts of a case are made of it: amounts, dates, references, codes, merchants, companies."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from domain.money import EXPONENTS
from masking.arbitration import Candidate, Place, trim
from masking.folding import fold_case
from masking.gazetteer import is_everyday, is_listed_name
from masking.structure import Field
from masking.word_lists import load_alternatives, load_rows, load_words


def _load_phrases(name: str) -> str:
    """Read a list of expressions for a pattern in which blanks do not count."""
    return load_alternatives(name).replace(" ", r"\ ")


_CODES_OF_MONEY = {code for row in load_rows("currencies") for code in row} | set(EXPONENTS)
_CURRENCY = "|".join(sorted(_CODES_OF_MONEY))
# In small letters these are words.
_CURRENCIES = "|".join(sorted(code.lower() for code in _CODES_OF_MONEY - {"ALL", "TOP", "CUP", "SOS", "MOP"}))
_SYMBOLS = r"(?:[a-z]{1,3})?[$€£¥₹₦₩₺₫₱฿₪₴₽₡₲₵₸₭₮]|s/\.?|rs\.?|rp\.?|rm|kr\.?|zł|kč|ft|lei|лв\.?|руб\.?|د\.إ|﷼"
_WORDS = _load_phrases("currency_words")
# At most so many groups: a number is short, and a search that may run on from every digit is not linear.
_NUMBER = r"(?:\d{1,3}(?:[,.'’\u00a0\u202f ]\d{2,3}){1,5}(?:[.,]\d{1,4})?|\d{1,12}(?:[.,]\d{1,6})?)"
_SHORT = r"(?:\s?(?:[km]|mn|bn|tn|mio|mrd|lakhs?|crores?|cr|thousand|million|billion)\b)?"
_OWN_PREFIXES = "acc|apr|art|ben|case|cnv|crd|cus|dec|dev|dsp|evt|ing|kba|kbc|lgn|mrc|msg|opr|pay|prp|rct|rev|ses|tfr|trn|txn"
_AMOUNTS = re.compile(
    rf"""
    (?:(?<!\w)(?:{_SYMBOLS})
        |\b(?:{_CURRENCIES})\b)[\s\u00a0\u202f]?[-+−(]?{_NUMBER}(?!\d){_SHORT}(?:[\s\u00a0\u202f]?[-–][\s\u00a0\u202f]?{_NUMBER})?(?:,-)?
    | (?<![\w.,])(?!\d{{7,12}}\ [a-z]{{3}}\ ?\d)[-+−(]?{_NUMBER}{_SHORT}[\s\u00a0\u202f]?
        (?:(?:{_SYMBOLS})(?!\w)|(?:{_CURRENCIES}|{_WORDS})\b)
    | (?<![\w.,])[-+−]?\d{{1,3}}(?:[.,]\d{{1,6}})?[\s\u00a0\u202f]?(?:%|‰|percent\b|per\ cent\b|pct\b|prozent\b
        |por\ ciento\b|bps?\b|basis\ points\b)
    | (?<![\w.,-])\d{{1,3}}(?:,\d{{3}}){{0,4}}\.\d{{2}}(?![\w.,]*\d)            # 1,234.56
    | (?<![\w.,-])\d{{1,3}}(?:\.\d{{3}}){{0,4}},\d{{2}}(?![\w.,]*\d)            # 1.234,56
    | (?<![\w.,])[-+−]?\d{{1,9}}[.,]\d{{2}}(?!\w|[.,]\d)                    # 1234.56
    | (?<=:61:)\d{{6,10}}[a-z]{{1,2}}\d{{1,12}}[.,]\d{{0,2}}[a-z0-9]{{0,10}}      # SWIFT
    | (?<=:3[23][ab]:)(?:\d{{6}})?[a-z]{{3}}\d{{1,12}}[.,]\d{{0,2}} | \?30[a-z]{{6}}[a-z0-9]{{2,5}}\b
    | (?<![\w:])\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,6}})?)?(?:[\s\u00a0\u202f]?[ap]\.?m\b)?(?![\w:])
    """,
    re.VERBOSE | re.ASCII,
)
_MONTH = rf"(?:{load_alternatives('months')})\.?"
_DATES = re.compile(
    rf"""
    (?<![\w-])\d{{4}}[-/.]\d{{2}}[-/.]\d{{2}}(?:[t ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,9}})?)?(?:z
        |[+-]\d{{2}}:?\d{{2}})?)?(?![\w-])
    | (?<![\w./-])\d{{1,2}}([-/.])\d{{1,2}}\1(?:\d{{4}}|\d{{2}})(?![\w/-])
    | (?<![\w./-])\d{{1,2}}[/.]\d{{1,2}}\.?(?![\w./-])
    | (?<!\w)\d{{1,2}}(?:st|nd|rd|th|\.|er|º)?[\s-](?:of\s|de\s)?{_MONTH}(?!\w)(?:(?:\s|-|,\s|\sde\s)\d{{2,4}})?(?![\w-])
    | (?<!\w){_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?(?!\w)
    | (?<!\w){_MONTH}[\s-]\d{{4}}(?!\w)
    | (?<!\w)\d{{2}}{_MONTH}(?:\d{{2}}|\d{{4}})(?!\w)
    | (?<!\w)(?:q[1-4]|fy|[12]h)[\s-]?\d{{2,4}}(?!\w)
    """,
    re.VERBOSE,
)
_COUNTRIES = "|".join(code for row in load_rows("bank_countries") for code in row)
_CODES = re.compile(
    rf"""
    \b[TACBXDHK]\d{{1,4}}\b                                             # handles
    | \b(?:{_CURRENCY})\b
    | (?<![\w-])(?:TXN|CASE|REF|DSP|INC|ORD|TG|INV|RE|TKT|CS|PO|SO|RMA|CR|PMT|TRX|TT|FT|CHG|REQ|JIRA|SR
        |BUG)[-_]?(?:\d{{4}}-)?\d{{3,12}}(?![\w-])
    | (?<![\w-])[A-Z]{{2,6}}-(?:\d{{4}}-)?[A-Z]{{0,3}}\d{{3,8}}(?![\w-])
    | (?<![\w/-])[A-Z]{{1,4}}\d{{4}}/\d{{3,8}}(?![\w-])
    | \b(?:HTTP|ERR|E|R|AC|AM|RC|DECLINE|FF|MS|BE|AG)[_-]?\d{{2,5}}\b | \b[A-Z]{{2,30}}(?:_[A-Z0-9]{{1,30}}){{1,6}}\b
    | (?<![\w-])[A-Z][A-Z0-9]{{0,5}}[-/](?=[A-Z0-9/-]{{0,30}}\d)[A-Z0-9][A-Z0-9/-]{{2,30}}(?![\w-])   # a prefix and a number
    | (?<![\w-])[A-Z]{{2,4}}\ \d{{2,6}}-\d{{1,6}}(?![\w-])
    | (?<![\w@.-])[A-Za-z0-9][\w-]{{1,40}}\.(?i:com|net|org|io|shop|store|app|tv|co\.uk|co|de|fr|es|it|nl|pl|com\.\w\w|eu
        |in|ng|csv|pdf|txt|json|xml|log|
        xlsx?|docx?|zip|gz|png|jpe?g|dat|eml|html?)(?:/\w{{1,20}})?(?![\w@.-])                 # shops and files on the net
    | (?<![\w-])(?:UTR|RRN|ARN|BK|HD|TR|NF-?e|Fakt|FV|FT|BL|WO|QT|EST|ACH|NEFT|RTGS
        |IMPS)[.\ -]{{0,2}}(?=[A-Z0-9]{{0,12}}\d)[A-Z0-9]{{4,20}}(?![\w-])
    | (?<![\w-])[A-Z]{{2}}\d{{2}}ZZZ[A-Z0-9]{{5,20}}(?![\w-])                     # creditor ids of SEPA
    | \b[a-z_]{{2,30}}\.[A-Z]{{4,8}}\b                                          # the level of a logger
    | </?[A-Za-z][\w:.-]{{0,60}} | "[\w.-]{{1,60}}"\s?: | (?<![\w=?&/.-])[A-Za-z_][\w.]{{0,60}}=(?!=)      # keys
    """,
    re.VERBOSE,
)
_SMALL_CODES = re.compile(
    rf"""
    \b(?:{_OWN_PREFIXES})_[0-9a-z]{{4,64}}\b                      # our own references
    | (?:\b(?:order|ref|references?|invoice|inv|file|see|webhook\ for|document|doc|dossier|session|run|build|article|ref
        |protocol|ticket|booking|tracking|case|claim|dispute|incident|transaction|txn|trace|
        batch|job|request|correlation|policy|contract|rechnung|bestellung|referenz|verwendungszweck|référence|facture
        |referencia|factura|
        pedido|fattura|ordine|fakt|nf-?e|buchung|rrn|stan|arn|utr|uetr|end-?to-?end)\b\W{{0,3}}(?:(?:number|no|nr|num|id
        |code|is|der|de)\b\W{{0,3}})?|\#)
      (?=[a-z0-9/_-]{{0,40}}\d)[a-z0-9][a-z0-9/_-]{{2,40}}       # references of others
    | \b(?:error|err|decline|response|reason|mcc|auth(?:ori[sz]ation)?|status|return|fehler
        |http)\W{{0,2}}(?:code)?\W{{0,3}}[a-z]{{0,3}}\d{{1,6}}\b
    | \b0x[0-9a-f]{{2,8}}\b
    | \bv?\d{{1,3}}\.\d{{1,3}}\.\d{{1,4}}(?:-[\w.]{{1,30}})?\b(?!\.\d)         # versions
    | (?:ending|ends?|ended|terminée?|terminada|endet|letzte|last)\s(?:with|in|on|by|en|par|auf|mit|four|4|digits
        |\s){{0,12}}\W{{0,3}}\d{{2,4}}\b
    | (?<!\w)(?:[•*●·x]{{2,8}}[ -]?){{1,4}}\d{{2,4}}\b                       # •••• 1234
    | \b\d{{1,6}}\s?(?:ms|s|sec|secs|seconds?|min|mins|minutes?|h|hrs?|hours?|days?|weeks?|months?|years?|yrs?
        |working\ days|business\ days|
        tage|tagen|wochen|monate|jahre|días|jours|giorni|kb|mb|gb|kg|km|m|cm|x|times|items?|transactions?|payments?|charges?)\b
    | page\ \d{{1,4}}(?:\ of\ \d{{1,4}})?\b | (?<=\ )[1-5]\d\d\ \d{{1,7}}(?=\ ["-])             # of a web log: status and bytes
    | (?:https?://|www\.)[^\s?<>"']{{3,200}}
    """,
    re.VERBOSE,
)
_BIC = re.compile(rf"(?<![\w-])[A-Z]{{4}}(?:{_COUNTRIES})[A-Z0-9]{{2}}(?:[A-Z0-9]{{3}})?(?![\w-])")
_ERROR_NAME = re.compile(r"(?<!\w)E[A-Z]{4,15}(?!\w)")
_COMPANY = re.compile(
    rf"""
    (?<![\w])(?:(?:[A-Z][\w&.'’-]{{0,30}}|&|and|y|et|und|de|of)[ ]){{1,5}}
      (?:(?:{_load_phrases("company_forms")})|(?=[A-Z])(?i:{_load_phrases("company_words")}))\b\.?
    | (?<![\w])(?:Bank\ of|Banco|Banca|Banque|Caisse|Caixa|Sparkasse|Volksbank|Universit[ayäé]\w*|Hotel|Restaurante?
        |Caf[eé]|Supermercado|Farmacia|Ministry\ of|
         Department\ of)(?:\ (?:de|di|da|do|del|la|of|the))*\ [A-Z][\w'’-]{{1,30}}(?:\ [A-Z][\w'’-]{{1,30}})?
    """,
    re.VERBOSE,
)
_AFTER_SHOP_WORD = re.compile(
    r"""
    (?:\b(?i:employer|company|merchant|shop|store|retailer|bank|product|plan|arbeitgeber|employeur|händler|commerçant
        |comercio|negozio|payroll)\b
        (?:[ ](?i:is|name|for|named|called|ist|für))*[ \t]*[:=]?[ \t]*"?
      |(?i:charged|billed|payments?|paid|purchased?|spent|transactions?|declined|twice|shopped|refund\w*|bought|ordered
        |bezahlt|pagato|pagué|payé)
        \b[^.\n]{0,40}?[ ](?i:at|bei|chez|en|presso)[ ]
      |[ ]@[ ])
    (?P<v>[A-Z][\w&.'*-]{0,30}(?:[ ][A-Z0-9*][\w&.'*-]{0,30}){0,3})
    """,
    re.VERBOSE,
)
_SHOP_KEY = re.compile(r"merchant|shop|store|retail|bank|product|employer|company|brand|plan|currency|ccy", re.IGNORECASE)
# "Shell Oil 5521", "IKEA Delft": what a listed merchant's name goes on with.
_SHOP_NUMBER = re.compile(r"[ ](?:\#[ ]?|No\.?[ ]?)?\d{3,5}(?![\w-])")
_BRANCH = re.compile(r"[ ](?P<v>[A-Z][a-z]{1,20}|\d{2,6})(?:[ ]\d{2,6})?(?![0-9A-Za-z])")
_NOT_NAMES = load_words("not_names")
_TITLES = load_words("titles")
_PARTICLES = load_words("name_particles")
_COMMON_NAMES = load_words("common_names")
_PLACES = load_words("places")
_MERCHANTS = frozenset(" ".join(row) for row in load_rows("merchants"))
_WORD = re.compile(r"[^\W\d_]+(?:[-'’.][^\W\d_]+)*")
_MAX_MERCHANT = 60
_CELL_MARKS = frozenset({",", ";", "|", "\t", "\n", '"', ""})
_AT_SHOP = re.compile(r"(?:\b(?:at|bei|chez|presso)|@) $", re.IGNORECASE)
# Characters that nobody sees cut words into pieces, which are no words to judge by.
_HIDDEN = re.compile(r"[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


@dataclass(frozen=True, slots=True)
class Protected:
    """Hold where facts stand: `certain` also against a rule that goes by a word, `likely` against guesses only.

    `kept` are fields whose keys say that they hold a fact: only words that announce a name overrule them.
    `alone` are places that are no person by themselves, but may be part of one's name: "Paris", "April", "Zara".
    """

    certain: tuple[Place, ...]
    likely: tuple[Place, ...]
    kept: tuple[Place, ...]
    alone: tuple[Place, ...]


def find_protected(text: str, merchants: Collection[str] = (), *, fields: Sequence[Field] = ()) -> Protected:
    """Return the places that guesses must not touch. A value with its own check digits is no guess."""
    small = fold_case(text)
    certain = [match.span() for match in _AMOUNTS.finditer(small)]
    kept = [field for field in fields if field.keep and field.start < field.end]
    certain += [(field.start, field.end) for field in kept if _SHOP_KEY.search(field.key)]
    likely = [match.span() for pattern in (_DATES, _SMALL_CODES) for match in pattern.finditer(small)]
    likely += [match.span() for pattern in (_CODES, _COMPANY) for match in pattern.finditer(text)]
    alone: list[Place] = []
    alone += [match.span() for match in _ERROR_NAME.finditer(text) if not is_listed_name(match[0])]
    for match in _BIC.finditer(text):
        if not match[0].isalpha() or not is_listed_name(match[0]):
            (alone if match[0].isalpha() else likely).append(match.span())
    for pattern in (_merchant_pattern(_MERCHANTS), _merchant_pattern(frozenset(merchants))):
        for match in pattern.finditer(small) if pattern else ():
            branch = _BRANCH.match(text, match.end())
            is_shop = branch is not None and not is_listed_name(branch["v"])
            place = (match.start(), branch.end() if branch is not None and is_shop else match.end())
            (alone if match[0].isalpha() and not is_shop else likely).append(place)
    alone += [match.span("v") for match in _AFTER_SHOP_WORD.finditer(text) if not _is_listed_person(match["v"])]
    return Protected(tuple(certain), tuple(likely), tuple((field.start, field.end) for field in kept), tuple(alone))


def trim_name(candidate: Candidate, text: str) -> Candidate | None:
    """Return what of a text taken for a name can be one: no titles at its edges, not only everyday words. None if nothing is."""
    if _HIDDEN.search(text, candidate.start, candidate.end):
        return candidate
    words = list(_WORD.finditer(text, candidate.start, candidate.end))
    while words and is_edge_word(_fold(words[0])):
        words.pop(0)
    while words and is_edge_word(_fold(words[-1])):
        words.pop()
    if candidate.source == "model" and any(not word[0][0].islower() for word in words):
        # Small letters around a name in capitals are other words, unless they are listed.
        while words[0][0][0].islower() and not _may_be_small(_fold(words[0])):
            words.pop(0)
        while words[-1][0][0].islower() and not _may_be_small(_fold(words[-1])):
            words.pop()
    if not words or (candidate.source == "model" and _is_no_name(words, text)):
        return None
    if (words[0].start(), words[-1].end()) == (candidate.start, candidate.end):
        return candidate
    trimmed = trim(candidate, words[0].start(), words[-1].end(), text)
    return trimmed and replace(trimmed, token=candidate.token)


def _is_listed_person(words: str) -> bool:
    return sum(is_listed_name(word) for word in words.split()) > 1


@lru_cache(maxsize=8192)
def is_edge_word(word: str) -> bool:
    """Say whether a word, folded in case, is a title or an everyday word that is nobody's name."""
    return word in _TITLES or (word in _NOT_NAMES and word not in _COMMON_NAMES and not is_listed_name(word))


def _is_no_name(words: Sequence[re.Match[str]], text: str) -> bool:
    """Say whether a model's guess is a town, everyday words, or a shop that nobody listed with its number behind it."""
    if _SHOP_NUMBER.match(text, words[-1].end()) and not any(is_listed_name(word[0]) for word in words):
        return True
    if all(_fold(word) in _NOT_NAMES or _fold(word) in _PLACES for word in words):
        return True
    if (
        len(words) == 1
        and not is_listed_name(words[0][0])
        and (_is_identifier(words[0], text) or _AT_SHOP.search(text, max(0, words[0].start() - 8), words[0].start()))
    ):
        return True
    return all(word[0].islower() and is_everyday(word[0]) for word in words)


def _is_identifier(word: re.Match[str], text: str) -> bool:
    """Say whether a word is part of a name of a column or a job: "fee_daily", or one cell of a row of small letters."""
    before, after = text[word.start() - 1 : word.start()], text[word.end() : word.end() + 1]
    return "_" in (before, after) or (word[0].islower() and before in _CELL_MARKS and after in _CELL_MARKS)


def _may_be_small(word: str) -> bool:
    return word in _PARTICLES or is_listed_name(word)


def _fold(word: re.Match[str]) -> str:
    return word[0].casefold().removesuffix("'s").removesuffix("’s")


@lru_cache(maxsize=256)
def _merchant_pattern(merchants: frozenset[str]) -> re.Pattern[str] | None:
    names = sorted((fold_case(name) for name in merchants if 3 <= len(name) <= _MAX_MERCHANT), key=len, reverse=True)
    if not names:
        return None
    # By first letter, so that a word is not held against every name.
    letters = dict.fromkeys(name[0] for name in names)
    parts = (
        re.escape(letter) + f"(?:{'|'.join(re.escape(name[1:]) for name in names if name[0] == letter)})" for letter in letters
    )
    return re.compile(rf"(?<![0-9a-z])(?:{'|'.join(parts)})(?:['’]s)?(?![0-9a-z])")
