"""Write camt.053 messages for tests; every name and number in them is invented."""

from __future__ import annotations

from collections.abc import Sequence

IBAN = "DE89370400440532013000"


def entry(
    amount: str = "49.90",
    *,
    direction: str = "DBIT",
    currency: str = "EUR",
    day: str = "2026-03-02",
    reference: str = "BANK-1",
    end_to_end_id: str = "",
    ustrd: str = "",
    status: str = "<Sts><Cd>BOOK</Cd></Sts>",
    extra: str = "",
) -> str:
    """Write one entry."""
    refs = f"<Refs><EndToEndId>{end_to_end_id}</EndToEndId></Refs>" if end_to_end_id else ""
    remittance = f"<RmtInf><Ustrd>{ustrd}</Ustrd></RmtInf>" if ustrd else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{status}'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef>"
        f"<NtryDtls><TxDtls>{refs}{remittance}<RltdPties><Cdtr><Nm>Ana Ferreyra</Nm></Cdtr></RltdPties></TxDtls></NtryDtls>"
        f"{extra}</Ntry>\n"
    )


def balance(kind: str, amount: str, *, direction: str = "CRDT", day: str = "2026-03-02", currency: str = "EUR") -> str:
    """Write one balance."""
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{amount}</Amt>'
        f"<CdtDbtInd>{direction}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>\n"
    )


def message(
    parts: Sequence[str],
    *,
    version: str = "08",
    account: str = f"<IBAN>{IBAN}</IBAN>",
    prolog: str = '<?xml version="1.0" encoding="UTF-8"?>\n',
    prefix: str = "",
) -> bytes:
    """Write a message of one statement; `prefix` names the namespace as some banks do."""
    name = f"{prefix}:" if prefix else ""
    declared = f"xmlns{':' if prefix else ''}{prefix}"
    head = f"<GrpHdr><MsgId>M1</MsgId></GrpHdr><Stmt><Id>S1</Id><Acct><Id>{account}</Id><Ccy>EUR</Ccy></Acct>\n"
    body = f"{head}{''.join(parts)}</Stmt>"
    if prefix:
        body = body.replace("</", f"\0{prefix}:").replace("<", f"<{prefix}:").replace("\0", "</")
    return (
        f'{prolog}<{name}Document {declared}="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}">'
        f"<{name}BkToCstmrStmt>{body}</{name}BkToCstmrStmt></{name}Document>"
    ).encode()
