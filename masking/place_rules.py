"""Streets and postcodes that their own form gives away, and dates beside a word of birth."""

from __future__ import annotations

import re

from masking.classes import PiiClass
from masking.rule import CONTEXT_SCORE, Rule, ShapeRule, shape
from masking.validators import has_digits
from masking.word_lists import load_rows

_ADDRESS = PiiClass.ADDRESS
_CAPITAL = r"[^\W\d_a-zà-öø-ÿ][^\W\d_]{0,30}(?:['’.-][^\W\d_]{1,30}){0,3}"
_NAME = rf"(?:{_CAPITAL}\.?|\d{{1,3}}(?:st|nd|rd|th))"
# After the name, in the languages that write it there.
_STREET_AFTER = (
    r"(?:[Ss]treet|[Ss]tr?\.?|[Rr]oad|[Rr]d\.?|[Aa]venue|[Aa]ve?\.?|[Ll]ane|[Ll]n\.?|[Dd]rive|[Dd]r\.?|[Cc]ourt|[Cc]t\.?|"
    r"[Cc]lose|[Bb]oulevard|"
    r"[Bb]lvd\.?|[Ww]ay|[Pp]lace|[Pp]l\.?|[Ss]quare|[Ss]q\.?|[Tt]errace|[Cc]rescent|[Cc]res\.?|[Gg]ardens?|[Gg]rove|"
    r"[Cc]orridor|[Bb]ypass|[Ee]xpressway|[Ff]reeway|[Vv]iew|[Hh]eights|[Vv]illas|[Aa]pproach|[Ee]mbankment|[Gg]reen|[Pp]ark|"
    r"[Ll]ink|[Hh]ighway|[Hh]wy\.?|[Pp]arkway|"
    r"[Pp]kwy\.?|[Cc]ircle|[Cc]ir\.?|[Tt]rail|[Mm]ews|[Pp]arade|[Rr]ise|[Hh]ill|[Ww]alk|[Rr]ow|[Qq]uay|[Ww]harf|[Ee]state|"
    r"[Ee]xtension|[Ll]oop|[Pp]ike|"
    r"[Nn]agar|[Mm]arg|[Cc]olony|[Ll]ayout|[Vv]ihar|[Pp]uram|[Cc]howk|[Bb]azaar|[Cc]addesi|[Ss]oka[kğ][ıi]|[Cc]ad\.|[Ss]ok\.|"
    r"[Bb]ulvar[ıi]|[Mm]ahallesi|"
    r"[Uu]tca|[Úú]t|STREET|ST|ROAD|RD|AVENUE|AVE|LANE|LN|DRIVE|DR|COURT|CLOSE|BLVD|WAY|PLACE|SQUARE|TERRACE|CRESCENT|GARDENS|"
    r"GROVE|HIGHWAY)"
)
# Before the name.
_STREET_BEFORE = (
    r"(?:[Cc]alle|[Cc]/|[Aa]venida|[Aa]vda?\.?|[Aa]v\.|[Pp]aseo|[Pp]laza|[Cc]arrera|[Cc]ra\.?|[Cc]r\.|[Tt]ransversal|"
    r"[Dd]iagonal|[Cc]amino|[Rr]onda|[Rr]ua|[Tt]ravessa|"
    r"[Aa]lameda|[Ll]argo|[Ee]strada|[Pp]ra[çc]a|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Vv]icolo|[Rr]ue|[Aa]venue|[Bb]oulevard|"
    r"[Bb]d|[Cc]hemin|[Aa]ll[ée]e|"
    r"[Pp]lace|[Ii]mpasse|[Qq]uai|[Uu]l\.|[Uu]lica|[Aa]l\.|[Aa]leja|[Oo]s\.|[Jj]alan|[Jj]l\.?|[Ll]orong|[Đđ]ường|[Pp]hố|"
    r"[Nn]gõ|[Uu]litsa|[Пп]росп[а-я]+|[Уу]л(?:ица|\.)|"
    r"[Ss]okak|RUE|RUA|CALLE|VIA|JALAN|JL|AVENIDA|UL)"
)
# The end of a street's name that is one word: surely, and where the word has a capital.
_GLUED = r"(?:stra(?:ss|ß)e|str\.|gasse|allee|straat|laan|plein|gracht|gatan|vägen|utca)"
_GLUED_PERHAPS = r"(?:weg|platz|ufer|damm|kade|dijk|singel|gata|vegen|veien|gade|vej|katu|kuja)"
_STREET_APART = (
    r"(?:[Ss]tra(?:ss|ß)e|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse|[Rr]ing|[Uu]fer|[Dd]amm|[Mm]arkt|[Uu]tca|[Úú]t|[Gg]ade|"
    r"[Gg]ata|[Vv]ei|[Vv]ej|"
    r"[Kk]atu|[Ss]traat|[Ll]aan|[Pp]lein|STRASSE|WEG|PLATZ)"
)
_HOUSE = r"\d{1,5}(?:[/-]\d{1,4})?[ ]?[A-Za-z]?"
_UNIT = (
    r"(?:(?:[Ff]lat|[Aa]pt\.?|[Aa]partment|[Uu]nit|[Ss]uite|[Ss]te\.?|[Rr]oom|[Bb]lock|[Bb]lk|[Ff]loor|[Pp]lot|"
    r"[Hh]ouse(?: No\.?)?|No\.?|#)[ ]?[\w-]{1,8}[ ,]{1,2})?"
)
ADDRESS_RULES: tuple[Rule, ...] = (
    ShapeRule(
        _ADDRESS,
        re.compile(
            rf"(?<![\w.,/-])(?P<v>{_UNIT}{_HOUSE},? (?:{_NAME} "
            rf"){{1,4}}{_STREET_AFTER}(?![^\W_])(?:[ ,]{{1,2}}{_UNIT.rstrip('?')})?)"
        ),
        score=CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(
            rf"(?<![\w])(?P<v>(?:{_HOUSE},? (?:bis |ter )?)?{_STREET_BEFORE} (?:(?:de|del|de la|do|da|dos|das|des|du|di|"
            rf"della|d['’]|la|le|los|las) ?)?"
            rf"(?:{_NAME}|\d{{1,3}})(?: (?:{_NAME}|de|del|da|do|du|des|la|le|di|e|y)){{0,4}}(?:,? (?:n[.º°o]{{0,2}} ?|No\.? "
            rf"?|#)?{_HOUSE}(?:-\d{{1,3}})?)?)(?![^\W_])"
        ),
        has_digits(1),
        CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(rf"(?<=[^\W\d_])(?P<v>{_GLUED} {_HOUSE})(?![^\W_])", re.IGNORECASE),
        score=CONTEXT_SCORE,
        grows=True,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(rf"(?<![^\W_])(?P<v>[A-ZÄÖÜÅÆØ][^\W\d_]{{3,30}}{_GLUED_PERHAPS} {_HOUSE})(?![^\W_])"),
        score=CONTEXT_SCORE,
        grows=True,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(rf"(?<=[^\W\d_][ -])(?P<v>{_STREET_APART} {_HOUSE})(?![^\W_])"),
        score=CONTEXT_SCORE,
        grows=True,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(
            r"(?<![^\W_])(?P<v>(?:P\.? ?O\.? ?Box|PO Box|Postfach|Apartado(?: de correos)?|Caixa Postal|Casella Postale|"
            r"B\.?P\.?|Private Bag)\s{1,2}"
            r"(?:No\.? )?[\dA-Z-]{1,10})(?![^\W_])",
            re.IGNORECASE,
        ),
        has_digits(1),
        CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(
            r"(?<![^\W_])(?P<v>(?:Flat|Apt\.?|Apartment|Unit|Suite|Appartement|Wohnung|Piso|Apto\.?|Blk|"
            r"Block)\s(?:No\.?\s)?#?\d{1,4}[A-Za-z]?(?:[/-]\d{1,4})?)(?![^\W_])"
        ),
        score=CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(
            rf"(?<![^\W_])(?P<v>(?:Sector|Phase|Block|Plot|Ward|Lot|Villa|Stand|Erf|House|Km|Kilometre|Qu[aậ]n|Gate|"
            rf"Estate)\s(?:No\.?\s)?\d{{1,4}}[A-Za-z]?"
            rf"(?:(?:,\s|\s|\n){_CAPITAL}){{1,5}}(?:,?\s\d{{3}}\s?\d{{2,3}})?)(?![^\W_])"
        ),
        score=CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(
            rf"(?<![\w-])(?P<v>\d{{1,2}}-ch[oō]me(?:[ -]\d{{1,3}}){{0,3}}(?:,? {_CAPITAL}){{0,3}}(?:,? \d{{3}}-\d{{4}})?)"
            r"(?![\w-])"
        ),
        score=CONTEXT_SCORE,
        needs=("-ch",),
    ),
    ShapeRule(
        _ADDRESS, re.compile(rf"(?<![^\W_]){_CAPITAL},? (?P<v>\d{{3}}-\d{{4}})(?![\d-])"), score=CONTEXT_SCORE, needs=("-",)
    ),
    # Postcodes that nothing else looks like.
    shape(_ADDRESS, r"[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}"),
    shape(
        _ADDRESS, r"(?:[A-PR-UWYZ][A-HK-Y]?\d{1,2}|[A-PR-UWYZ][A-HK-Y]?\d[A-HJKMNPR-Y])\d[ABD-HJLNP-UW-Z]{2}", score=CONTEXT_SCORE
    ),
    shape(_ADDRESS, r"[a-pr-uwyz][a-hk-y]?\d[a-z\d]? \d[abd-hjlnp-uw-z]{2}", score=CONTEXT_SCORE),
    shape(_ADDRESS, r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d"),
    shape(
        _ADDRESS,
        r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|"
        r"W[AIVY]) \d{5}(?:-\d{4})?",
        score=CONTEXT_SCORE,
    ),
    shape(
        _ADDRESS,
        r"(?:AP|AR|AS|BR|CG|DL|GA|GJ|HP|HR|JH|JK|KA|KL|MH|ML|MN|MP|MZ|NL|OD|PB|RJ|SK|TN|TR|TS|UP|WB) \d{3} ?\d{3}",
        score=CONTEXT_SCORE,
    ),
    shape(_ADDRESS, r"\d{5}-\d{4}", score=CONTEXT_SCORE),
    shape(
        _ADDRESS,
        r"[1-9]\d{3} ?(?!SA|SD|SS|AM|PM|AD|BC|EU|UK|US|IN|OF|OR|TO|IS|ON|AT)[A-Z]{2}(?=,? [A-Z][a-z])",
        score=CONTEXT_SCORE,
    ),
    shape(_ADDRESS, r"(?:[AC-FHKNPRTV-Y]\d{2}|D6W) ?[0-9AC-FHKNPRTV-Y]{4}", has_digits(3), score=CONTEXT_SCORE),
    shape(_ADDRESS, r"[A-HJ-NP-Z]\d{4}[A-Z]{3}", score=CONTEXT_SCORE),
    ShapeRule(_ADDRESS, re.compile(r"〒 ?(?P<v>\d{3}-?\d{4})")),
    ShapeRule(_ADDRESS, re.compile(r"\b(?:Singapore|SINGAPORE|S) ?\(?(?P<v>\d{6})\b"), score=CONTEXT_SCORE),
    # A postcode between a street and its town: "…, 50667 Köln", "Lyon 69003".
    ShapeRule(
        _ADDRESS,
        re.compile(r"(?:, ?|\n *|\d[A-Za-z]? )(?P<v>(?:[A-Z]{1,2}-)?\d{4,5})(?= [^\W\d_a-zà-öø-ÿ][^\W\d_]{2})"),
        score=CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(r"(?:, ?|\n *)(?P<v>\d{2}-\d{3}|\d{5}-\d{3}|\d{4}-\d{3}|\d{3} \d{2})(?= [^\W\d_a-z])"),
        score=CONTEXT_SCORE,
    ),
    ShapeRule(
        _ADDRESS,
        re.compile(
            rf"(?<![^\W_]){_CAPITAL},? ?[-–]? (?P<v>\d{{5}}-\d{{3}}|[1-9]\d{{2}} ?\d{{3}})(?=\s*(?:$|[\n,.;)]))", re.MULTILINE
        ),
        score=CONTEXT_SCORE,
    ),
)

_MONTHS = sorted(
    (name.replace("_", " ") for row in load_rows("date_months") for name in row), key=lambda name: (-len(name), name)
)
_MONTH = rf"(?:{'|'.join(map(re.escape, _MONTHS))})\.?"
_SPOKEN_DAY = (
    r"(?:(?:twenty|thirty)[ -])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|tenth|eleventh|twelfth|"
    r"thirteenth|fourteenth|fifteenth|"
    r"sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth"
)
_NUMBER_WORD = (
    r"(?:oh|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|"
    r"thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|and)"
)
_YEAR_WORDS = rf"{_NUMBER_WORD}(?:[ -]{_NUMBER_WORD}){{0,5}}"
DATE = re.compile(
    rf"(?:\d{{4}} ?[-/. ] ?\d{{1,2}} ?[-/. ] ?\d{{1,2}}|\d{{4}}年 ?\d{{1,2}}月 ?\d{{1,2}}日?|\d{{1,2}} ?[-/. ] ?\d{{1,2}} "
    rf"?[-/. ] ?(?:\d{{4}}|\d{{2}})|"
    rf"\d{{8}}|\d{{6}}|\d{{1,2}}(?:st|nd|rd|th|er|º|\.|-)?[\s/-]{{0,2}}(?:of |de |del |d['’])?{_MONTH}(?: of| de| "
    rf"del)?[\s,/-]{{0,2}}(?:\d{{4}}|['’]?\d{{2}})|"
    rf"{_MONTH}[\s-]{{1,2}}\d{{1,2}}(?:st|nd|rd|th)?[,\s-]{{1,2}}(?:\d{{4}}|['’]?\d{{2}})|"
    rf"(?:the )?(?:{_SPOKEN_DAY})(?: of)? {_MONTH}[ ,]{{1,2}}(?:\d{{4}}|{_YEAR_WORDS})|{_MONTH}(?: the)? "
    rf"(?:{_SPOKEN_DAY})[ ,]{{1,2}}(?:\d{{4}}|{_YEAR_WORDS}))"
    r"(?![0-9A-Za-zÀ-ɏ])",
    re.IGNORECASE,
)
