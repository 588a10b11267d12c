"""Secrets, and what tells a device or a login: API keys, passwords, codes, IP and MAC addresses, handles, e-mails."""

from __future__ import annotations

import re

from masking.classes import PiiClass
from masking.rule import CONTEXT_SCORE, LabelledRule, Rule, ShapeRule, numbers, shape
from masking.validators import has_digits, is_ip_address, is_luhn
from masking.word_lists import load_alternatives

_SECRET = PiiClass.SECRET
_ANNOUNCING = load_alternatives("context_password")
_ANNOUNCED_BY = (
    "pass", "pwd", "kennwort", "contrase", "clave", "mot de", "senha", "wacht", "hasł", "haslo",
    "parola", "senord", "ifre", "sandi", "kh",
    "пароль", "密码", "パスワード", "비밀번호", "memorable", "answer", "key", "token", "secret",
)  # fmt: skip
_NO_SECRET = rf"(?:{load_alternatives('no_password')}|\*+|•+|x+)(?![\w])"
_HOST = r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}(?:[A-Za-zÀ-ɏ]{2,24}|[а-яё]{2,12}|xn--[\w-]{2,40})"

_NO_USERNAMES = frozenset({
    "not", "the", "my", "your", "null", "none", "true", "false", "unknown", "anonymous", "incorrect", "invalid", "wrong",
    "required", "locked",
    "blocked", "disabled", "correct", "same", "admin", "root", "system", "guest", "missing", "empty", "that", "this",
    "not_found", "failed",
    "success", "denied", "with", "from",
})  # fmt: skip

_NAMED_BY = (
    "user", "log", "signed in", "screen", "handle", "nick", "benutzer", "identifiant", "usuario", "utente", "ytkownik", "kullan",
    "tag",
    "venmo", "paypal", "telegram", "upi", "vpa", "payid", "pay id", "skype", "account name",
)  # fmt: skip
SECRET_RULES: tuple[Rule, ...] = (
    shape(_SECRET, r"(?:sk|pk|rk)_(?:live|test)_[0-9A-Za-z]{10,100}", needs=("_",)),
    shape(_SECRET, r"whsec_[0-9A-Za-z+/=]{16,100}", needs=("whsec_",)),
    shape(_SECRET, r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}", needs=("a",)),
    shape(_SECRET, r"gh[pousr]_[0-9A-Za-z]{20,100}|github_pat_[0-9A-Za-z_]{20,120}|glpat-[0-9A-Za-z_-]{16,60}", needs=("-", "_")),
    shape(_SECRET, r"xox[abeprs]-[0-9A-Za-z-]{10,100}|xapp-[0-9A-Za-z-]{10,100}", needs=("-",)),
    shape(_SECRET, r"AIza[0-9A-Za-z_-]{30,45}|ya29\.[0-9A-Za-z_-]{20,200}|SG\.[\w-]{16,40}\.[\w-]{16,60}"),
    shape(
        _SECRET,
        r"sk-(?:[a-z]{2,12}-)?[0-9A-Za-z_-]{20,200}|(?:npm|hf|dop_v1|shpat|pypi)[_-][0-9A-Za-z-]{20,200}",
        needs=("-", "_"),
    ),
    shape(_SECRET, r"eyJ[0-9A-Za-z_-]{10,2000}\.[0-9A-Za-z_-]{6,4000}(?:\.[0-9A-Za-z_-]{2,1000})?", needs=("eyj",)),
    ShapeRule(
        _SECRET,
        re.compile(
            r"(?P<v>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE "
            r"KEY-----|\Z))"
        ),
        needs=("-----begin",),
    ),
    ShapeRule(_SECRET, re.compile(r"\b(?:Bearer|Basic)\s+(?P<v>[0-9A-Za-z._~+/-]{8,2000}={0,2})"), has_digits(1), needs=("b",)),
    ShapeRule(
        _SECRET,
        re.compile(
            rf"(?<![^\W_])(?:{_ANNOUNCING})[\"']?\s{{0,3}}(?:(?:[:=：]|=>|->)\s{{0,3}}|"
            rf"is\s{{1,3}}[:\"']?)[\"'“]?(?!{_NO_SECRET})"
            r"(?P<v>[^\s\"'“”,;<>]{4,128})",
            re.IGNORECASE,
        ),
        needs=_ANNOUNCED_BY,
    ),
    ShapeRule(
        _SECRET,
        re.compile(
            rf"(?<![^\W_])(?:{_ANNOUNCING})\W{{1,3}}(?:(?:to|is|was|es|est|ist|[eéè]|jest|[aä]r)\W{{1,3}})?"
            r"(?P<v>(?=[^\s,;]{0,60}[\d!#$%&*@?])(?=[^\s,;]{0,60}[A-Za-z])[^\s\"'“”,;<>]{5,64})",
            re.IGNORECASE,
        ),
        needs=_ANNOUNCED_BY,
    ),
    ShapeRule(
        _SECRET,
        re.compile(
            r"\b(?:seed|recovery|mnemonic|backup)\s+(?:phrase|words?)\W{1,4}(?:(?:is|"
            r"are)\W{1,3})?(?P<v>(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})",
            re.IGNORECASE,
        ),
    ),
    # What looks like a password, near a word for one.
    ShapeRule(
        _SECRET,
        re.compile(
            r"\b(?:temp\w{0,6}|reset|log-?in|logon|credentials?|creds?|pw|pass\w{0,6}|secret|access)\b[^\n]{0,60}?[\s\"'(/]"
            r"(?P<v>(?=\S{0,30}\d)(?=\S{0,30}[A-Za-z])(?=\S{0,30}[!#$%^&*?_~+])(?!\S{0,40}@\S{0,40}\.)[^\s\"'(),;<>/=]{5,39}[^\s\"'(),;<>/=.?])",
            re.IGNORECASE,
        ),
        score=CONTEXT_SCORE,
        needs=("temp", "reset", "log", "cred", "pw", "pass", "secret", "access"),
    ),
    LabelledRule(_SECRET, 3, 10, 3, score=0.95),
)
DEVICE_RULES: tuple[Rule, ...] = (
    ShapeRule(
        PiiClass.IP, re.compile(r"(?<![\w.])(?P<v>(?:\d{1,3}\.){3}\d{1,3})(?![^\W_])(?!\.\d)"), is_ip_address, needs=(".",)
    ),
    ShapeRule(
        PiiClass.IP,
        re.compile(
            r"(?<![\w:])(?P<v>(?:[0-9a-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{1,4}|:))(?![\w:])", re.IGNORECASE
        ),
        is_ip_address,
        needs=(":",),
    ),
    shape(
        PiiClass.DEVICE,
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        score=CONTEXT_SCORE,
        needs=("-",),
        flags=re.IGNORECASE,
    ),
    shape(PiiClass.DEVICE, r"[0-9a-f]{2}(?P<s>[:-])(?:[0-9a-f]{2}(?P=s)){4}[0-9a-f]{2}", needs=(":", "-"), flags=re.IGNORECASE),
    shape(PiiClass.DEVICE, r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}", has_digits(1), needs=(".",), flags=re.IGNORECASE),
    shape(PiiClass.DEVICE, r"(?:01|35|86|99)\d{13}", is_luhn),
    LabelledRule(PiiClass.DEVICE, 6, 40, 1),
)
CONTACT_RULES: tuple[Rule, ...] = (
    ShapeRule(
        PiiClass.EMAIL,
        re.compile(rf"(?<![\w.+%-])(?P<v>(?:(?![぀-ヿ㐀-鿿가-힯])[\w.+%'&/=!#$*-]){{1,64}}@{_HOST})(?![0-9A-Za-zÀ-ɏ])"),
        needs=("@",),
    ),
    ShapeRule(PiiClass.EMAIL, re.compile(rf"(?P<v>\"[^\"\n@]{{1,64}}\"@{_HOST})(?![0-9A-Za-zÀ-ɏ])"), needs=("@",)),
    # Line breaks and spaces that mail programs and scanners put beside the at sign.
    ShapeRule(
        PiiClass.EMAIL,
        re.compile(
            r"(?<![\w.+%-])(?P<v>(?=[\w.+-]{0,40}[A-Za-z])[\w.+-]{2,64}[ \n]?@[ \n]?[\w-]{2,40}(?:[ \n]?\.[ \n]?"
            r"[\w-]{2,20}){0,2}?"
            r"[ \n]?\.[ \n]?(?:com|net|org|edu|gov|info|io|me|co|biz|example|test|invalid|[a-z]{2}))(?![0-9A-Za-zÀ-ɏ])",
        ),
        needs=("@",),
    ),
    shape(
        PiiClass.EMAIL,
        r"[\w.+-]{2,40}(?:\s*(?:\(at\)|\[at\]|\{at\}|<at>)\s*|\sat\s)[\w-]{2,40}"
        r"(?:(?:\s*(?:\(dot\)|\[dot\]|\{dot\}|<dot>)\s*|\sdot\s)[\w-]{2,20}){1,3}",
        flags=re.IGNORECASE,
        needs=("at",),
    ),
    shape(
        PiiClass.EMAIL,
        r"[\w.+-]{2,40}\s*(?:\(at\)|\[at\]|\{at\}|<at>)\s*(?:[\w-]{2,40}\.){1,3}[a-z]{2,12}",
        flags=re.IGNORECASE,
        needs=("at",),
    ),
    # A name at a bank, without a dot: where money is sent to.
    ShapeRule(PiiClass.USERNAME, re.compile(r"(?<![\w.+%@-])(?P<v>[\w.-]{2,64}@[A-Za-z]{2,20})(?![\w@]|[.-]\w)"), needs=("@",)),
    ShapeRule(
        PiiClass.USERNAME,
        re.compile(r"(?<![\w.@/+-])(?P<v>@[A-Za-z_](?:[\w.]{1,30}[A-Za-z0-9_])?)(?![\w@])"),
        score=CONTEXT_SCORE,
        needs=("@",),
    ),
    ShapeRule(
        PiiClass.USERNAME,
        re.compile(
            r"(?<![0-9A-Za-zÀ-ɏ])(?:user[ _-]?(?:name|id|handle)|log[ _-]?in(?: name| id)?|logged in as|signed in as|"
            r"screen[ _-]?name|handle|nick(?:name)?|"
            r"benutzername|nom d'utilisateur|identifiant|nombre de usuario|usuario|nome utente|utente|gebruikersnaam|"
            r"u[zż]ytkownik|kullan[ıi]c[ıi] ad[ıi]|"
            r"cash ?tag|venmo|paypal(?:\.me)?|telegram|upi(?: id)?|vpa|pay ?id|skype|account name|user)"
            r"(?:[\"']?\s{0,3}(?:[:=]|=>|->)\s{0,3}|\s(?:is|was|as|es|est|"
            r"ist)\s[:\"']?)[\"'“]?(?P<v>[$@]?[\w.@-]{2,40}[\w])(?![\w@])",
            re.IGNORECASE,
        ),
        lambda text: text.casefold() not in _NO_USERNAMES,
        CONTEXT_SCORE,
        needs=_NAMED_BY,
    ),
    ShapeRule(
        PiiClass.USERNAME,
        re.compile(
            r"^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{6,45}) \S{1,40} (?P<v>[A-Za-z][\w.@-]{2,40}) \[\d{1,4}[/-]", re.MULTILINE
        ),
        needs=("[",),
    ),
    ShapeRule(
        PiiClass.CUSTOMER_ID,
        re.compile(
            r"/(?:customers?|clients?|members?|users?|profiles?|subjects?)/(?P<v>(?=[\w.-]{0,40}\d)[\w.-]{3,40})", re.IGNORECASE
        ),
        needs=("/",),
    ),
    ShapeRule(PiiClass.ACCOUNT, re.compile(r"/accounts?/(?P<v>\d[\d-]{5,30})(?![\w])", re.IGNORECASE), needs=("/",)),
    numbers(PiiClass.CUSTOMER_ID, r"(?:CUST|CIF|CUS|CLNT|CLI|KUNDE|KDNR|MBR)\d{4,14}", layout=r"[A-Za-z]{3,5}[-_#]?\d{4,14}"),
    LabelledRule(PiiClass.CUSTOMER_ID, 4, 24, 4),
    LabelledRule(PiiClass.PHONE, 7, 15, 7, digits_only=True),
)
