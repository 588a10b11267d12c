"""The whole way on real parts: text in, masked text out, and back for those entitled. Invented people only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest

import masking.detection
import masking.guard
import masking.phones
import masking.token_writing
from domain.errors import BrokenInvariant
from domain.origin import Origin
from domain.roles import Role
from masking.classes import PiiClass
from masking.detection import Detection, Detector
from masking.entitlements import DEFAULT_ENTITLEMENTS, Purpose, Viewer
from masking.guard import LeakBlocked
from masking.input_text import NotText, TextTooLong
from masking.masker import MaskedMessage, MaskedTextTooLong, Masker, MaskScope, TextToMask
from masking.tokens import UNKNOWN_REFERENCE, mint_token
from masking.unmask import RevealScope, Unmasker
from masking.vault import KnownValues, PiiItem, Transact
from masking.writing import Writer, WritingFailed
from serving.edge.metrics import MaskingMetrics
from tests.conftest import ConnAs, Tenant
from tests.integration.masking.conftest import EVERYTHING, Boundary, make_boundary

TransactFor = Callable[[Tenant], Transact]
MESSAGE = "msg_" + "1" * 32
TEXT = (
    "Customer Marta Kowalska says she was charged EUR 49.90 twice on 2026-03-04 by Blue Bottle Coffee (txn_5f2c81a09b44, T1). "
    "KOWALSKA, Marta: card 4000-0566-5566-5556, call 601 234 567. "
    "Her friend Adebayo Okonkwo paid from GB29 NWBK 6016 1331 9268 19."
)
RECORD = (
    (PiiClass.PERSON, "Marta Kowalska"),
    (PiiClass.CARD, "4000056655665556"),
    (PiiClass.PHONE, "+48 601 234 567"),
)


def _known(boundary: Boundary) -> KnownValues:
    with boundary.transact(boundary.tenant_id) as conn:
        items = [PiiItem(pii_class, value, "cus_one") for pii_class, value in RECORD]
        boundary.vault.tokenize_many(conn, items, tenant_id=boundary.tenant_id)
    return boundary.masker.open_conversation(boundary.scope, actor="edge")


def test_values_go_facts_stay_and_all_comes_back_byte_for_byte(boundary: Boundary) -> None:
    known = _known(boundary)
    message = boundary.masker.mask_message(
        TEXT, scope=boundary.scope, known_values=known, merchants=("Blue Bottle Coffee",), message_id=MESSAGE
    )
    masked = message.masked.text
    for value in ("Marta", "KOWALSKA", "4000", "601", "Adebayo", "Okonkwo", "GB29", "9268"):
        assert value not in masked
    for fact in ("EUR 49.90", "2026-03-04", "Blue Bottle Coffee", "txn_5f2c81a09b44", "T1"):
        assert fact in masked
    people = re.findall(r"<PERSON_\S+?>", masked)
    assert len(people) == 3
    assert people[0] == people[1] != people[2]
    assert boundary.read(message.masked, MESSAGE) == TEXT


def test_the_same_value_has_the_same_token_in_any_message_and_spelling(boundary: Boundary) -> None:
    known = _known(boundary)
    tokens = {
        boundary.masker.mask_message(f"About {name}:", scope=boundary.scope, known_values=known).masked.tokens
        for name in ("Marta Kowalska", "marta kowalska", "Kowalska, Marta", "M. Kowalska", "MartaKowalska", "Marta")
    }
    assert len(tokens) == 1


def test_typed_tokens_stand_for_themselves(boundary: Boundary) -> None:
    known = _known(boundary)
    real = next(value.token for value in known.values if value.pii_class is PiiClass.PERSON)
    with boundary.transact(boundary.tenant_id) as conn:
        conversation_id = boundary.reveal_scope.conversation_id
        boundary.vault.grant_tokens(conn, [real], tenant_id=boundary.tenant_id, conversation_id=conversation_id)
    for typed in (real, real.lower(), real.replace("-", "–"), "<PERSON_00000000-zz>", f"<<{real}>>"):
        text = f"Who is {typed}?"
        message = boundary.masker.mask_message(text, scope=boundary.scope, known_values=known, message_id=MESSAGE)
        assert real not in message.masked.text
        assert boundary.read(message.masked, MESSAGE) == text
        assert "Marta" not in boundary.read(message.masked)
        (literal,) = message.masked.tokens
        assert literal.startswith("<LITERAL_")


def test_forged_foreign_and_damaged_tokens_restore_to_nothing(
    boundary: Boundary, detector: Detector, other_tenant: Tenant, transact_for: TransactFor
) -> None:
    _known(boundary)
    with boundary.transact(boundary.tenant_id) as conn:
        ungranted = boundary.vault.tokenize(conn, PiiItem(PiiClass.PERSON, "Ben Okafor", "cus_two"), tenant_id=boundary.tenant_id)
    stranger = make_boundary(other_tenant, detector, transact_for(other_tenant))
    foreign = stranger.masker.mask_message("I am Ben Okafor.", scope=stranger.scope).masked.tokens[0]
    forged = [mint_token(b"attacker" * 4, pii_class=PiiClass.PERSON, canonical=str(number)) for number in range(1000)]
    damaged = [token[:12] + "0" + token[13:] for token in forged if token[12] != "0"]
    for text in (ungranted, foreign, " ".join(forged), " ".join(damaged)):
        assert set(boundary.read(text).split("] ")) <= {UNKNOWN_REFERENCE, UNKNOWN_REFERENCE[:-1]}


def test_a_conversation_resolves_its_own_tokens_only(boundary: Boundary) -> None:
    message = boundary.masker.mask_message("I am Adebayo Okonkwo.", scope=boundary.scope)
    elsewhere = RevealScope(boundary.tenant_id, "cnv_" + "9" * 32, "cus_one")
    assert "Adebayo" not in boundary.unmasker.unmask_text(message.masked, viewer=EVERYTHING, scope=elsewhere)
    assert "Adebayo" in boundary.read(message.masked)


def test_output_keeps_granted_tokens_masks_values_and_drops_the_rest(boundary: Boundary) -> None:
    known = _known(boundary)
    asked = boundary.masker.mask_message("Marta Kowalska asks.", scope=boundary.scope, known_values=known)
    person = asked.masked.tokens[0]
    written = (
        f"Dear {person.lower()}, your card 4000056655665556 and {mint_token(b'x' * 32, pii_class=PiiClass.IBAN, canonical='1')}."
    )
    answer = boundary.masker.mask_output(written, scope=boundary.scope, known_values=known).masked
    assert answer.tokens[0] == person
    assert answer.tokens[1].startswith("<CARD_")
    assert answer.text.endswith(f"and {UNKNOWN_REFERENCE}.")
    assert boundary.read(answer) == f"Dear Marta Kowalska, your card 4000056655665556 and {UNKNOWN_REFERENCE}."


def test_each_role_sees_what_it_may_and_each_look_is_on_record(boundary: Boundary, conn_as: ConnAs, tenant: Tenant) -> None:
    known = _known(boundary)
    text = "Marta Kowalska, card 4000 0566 5566 5556, born 4 March 1987, PIN 4821."
    masked = boundary.masker.mask_message(text, scope=boundary.scope, known_values=known, message_id=MESSAGE).masked
    unmasker = Unmasker(keys=boundary.keys, transact=boundary.transact, entitlements=DEFAULT_ENTITLEMENTS)

    def seen_by(*roles: Role, purpose: Purpose = Purpose.CONVERSATION) -> str:
        viewer = Viewer("ada", frozenset(roles), purpose)
        return unmasker.unmask_text(masked, viewer=viewer, scope=boundary.reveal_scope, message_id=MESSAGE)

    assert seen_by(Role.SUPPORT) == "Marta Kowalska, card •••• 5556, born 1987-••-••, PIN [secret removed]."
    assert seen_by(Role.INVESTIGATOR) == "Marta Kowalska, card •••• 5556, born 4 March 1987, PIN [secret removed]."
    assert seen_by(Role.AUDITOR) == "M••• K•••, card ••••, born 1987-••-••, PIN [secret removed]."
    hidden = "[person hidden], card [card hidden], born [birth date hidden], PIN [secret removed]."
    assert seen_by(Role.ADMIN) == seen_by() == hidden
    assert seen_by(Role.ADMIN, Role.SUPPORT) == seen_by(Role.SUPPORT)
    assert seen_by(Role.SUPPORT, purpose=Purpose.CUSTOMER_LIST).startswith("Marta Kowalska, card [card hidden]")
    rows = conn_as("auditor", tenant).execute(
        "SELECT class, shown, count(*) FROM vault.pii_reveals WHERE scope = 'conversation' AND actor = 'ada'"
        " AND message_id = %s GROUP BY class, shown",
        [MESSAGE],
    )
    assert {(row[0], row[1]): row[2] for row in rows.fetchall()} == {
        ("PERSON", "plain"): 5,
        ("PERSON", "masked"): 1,
        ("CARD", "last4"): 4,
        ("CARD", "masked"): 1,
        ("BIRTH_DATE", "masked"): 4,
        ("BIRTH_DATE", "plain"): 1,
    }


def test_a_failed_commit_shows_nothing(boundary: Boundary, database_error: psycopg.Error) -> None:
    message = boundary.masker.mask_message("I am Adebayo Okonkwo.", scope=boundary.scope)

    class Broken:
        def __init__(self, tenant_id: str) -> None:
            self._inner = boundary.transact(tenant_id)

        def __enter__(self) -> object:
            return self._inner.__enter__()

        def __exit__(self, *_: object) -> None:
            self._inner.__exit__(type(database_error), database_error, None)
            raise database_error

    unmasker = Unmasker(keys=boundary.keys, transact=Broken, entitlements={})  # type: ignore[arg-type]
    assert unmasker.unmask_text(message.masked, viewer=EVERYTHING, scope=boundary.reveal_scope) == "I am [person hidden]."
    unmasker = Unmasker(keys=boundary.keys, transact=Broken, entitlements=boundary.unmasker._entitlements)  # type: ignore[arg-type]
    with pytest.raises(psycopg.OperationalError):
        unmasker.unmask_text(message.masked, viewer=EVERYTHING, scope=boundary.reveal_scope)


@pytest.fixture
def database_error() -> psycopg.Error:
    return psycopg.OperationalError("the server went away at the commit")


def test_the_engine_failing_means_no_masked_text(boundary: Boundary, detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Marta is in this message")

    masker = Masker(detector=detector, vault=boundary.vault, keys=boundary.keys, transact=boundary.transact)
    writer = Writer()
    monkeypatch.setattr(writer._engine, "anonymize", broken)
    monkeypatch.setattr(masker._tokens, "_writer", writer)
    with pytest.raises(WritingFailed) as caught:
        masker.mask_message("I am Adebayo Okonkwo.", scope=boundary.scope)
    assert "Marta" not in str(caught.value)


def test_bad_input_reaches_nothing(boundary: Boundary) -> None:
    for text, error in (("a\x00b", NotText), ("\ud800", NotText), ("x" * 100_001, TextTooLong)):
        with pytest.raises(error):
            boundary.masker.mask_message(text, scope=boundary.scope)
        with pytest.raises(error):
            boundary.masker.mask_output(text, scope=boundary.scope)


def test_an_unchanged_text_is_not_detected_again(boundary: Boundary, detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    known = _known(boundary)
    first = boundary.masker.mask_message(TEXT, scope=boundary.scope, known_values=known)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("detected again")

    with monkeypatch.context() as patch:
        patch.setattr(detector, "detect", never)
        assert boundary.masker.mask_message(TEXT, scope=boundary.scope, known_values=known) is first
        with pytest.raises(AssertionError):
            boundary.masker.mask_message(TEXT, scope=boundary.scope, known_values=None)
    again = boundary.masker.mask_message(TEXT, scope=boundary.scope, known_values=known, message_id=MESSAGE)
    assert boundary.read(again.masked, MESSAGE) == TEXT


def test_a_long_text_is_masked_to_its_end(boundary: Boundary) -> None:
    filler = "The fee was explained and the answer was sent to the branch on Monday. " * 60
    text = f"{filler}It was Adebayo Okonkwo. {filler}And Mehmet Yilmaz."
    message = boundary.masker.mask_message(text, scope=boundary.scope, message_id=MESSAGE)
    assert "Okonkwo" not in message.masked.text
    assert "Yilmaz" not in message.masked.text
    assert boundary.read(message.masked, MESSAGE) == text


def test_each_value_has_its_place_before_and_after_and_whose_words_it_is(boundary: Boundary) -> None:
    known = _known(boundary)
    text = 'Call 601 234 567. Customer writes "I am Adebayo Okonkwo" to us.\n> from GB29 NWBK 6016 1331 9268 19'
    message = boundary.masker.mask_message(text, scope=boundary.scope, known_values=known)
    seen = {(span.pii_class, span.origin) for span in message.spans}
    assert (PiiClass.PHONE, Origin.STAFF) in seen
    assert (PiiClass.PERSON, Origin.CUSTOMER_TEXT) in seen
    assert (PiiClass.IBAN, Origin.CUSTOMER_TEXT) in seen
    for span in message.spans:
        assert message.masked.text[span.masked_start : span.masked_end] == span.token
    answer = boundary.masker.mask_output("It is Adebayo Okonkwo.", scope=boundary.scope, known_values=known)
    assert {span.origin for span in answer.spans} == {Origin.MODEL}


def test_grants_keep_whose_words_a_token_is(boundary: Boundary, conn_as: ConnAs, tenant: Tenant) -> None:
    known = _known(boundary)
    text = 'Marta Kowalska is here. Customer says "my friend is Adebayo Okonkwo".\nIBAN GB29 NWBK 6016 1331 9268 19.'
    message = boundary.masker.mask_message(text, scope=boundary.scope, known_values=known)
    rows = conn_as("vault", tenant).execute("SELECT token, origin FROM vault.pii_grants").fetchall()
    origins = dict(rows)
    by_text = {text[span.start : span.end]: origins[span.token] for span in message.spans}
    assert by_text["Marta Kowalska"] == "ledger"
    assert by_text["Adebayo Okonkwo"] == "customer_text"
    assert by_text["GB29 NWBK 6016 1331 9268 19"] == "staff"


def test_many_texts_are_masked_together_or_not_at_all(
    boundary: Boundary, conn_as: ConnAs, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = MaskScope(boundary.tenant_id, None, "cus_one")
    good = [TextToMask("I am Adebayo Okonkwo.", place), TextToMask("", place), TextToMask("EUR 49.90 on 2026-03-04.", place)]
    one, empty, plain = boundary.masker.mask_many(good, tenant_id=boundary.tenant_id, origin=Origin.DOCUMENT)
    assert (empty.masked.text, plain.masked.text) == ("", "EUR 49.90 on 2026-03-04.")
    assert [span.origin for span in one.spans] == [Origin.DOCUMENT]
    before = _count_tokens(conn_as, tenant)
    for bad, error in ((TextToMask("a\x00b", place), NotText), (TextToMask("x" * 100_001, place), TextTooLong)):
        with pytest.raises(error):
            boundary.masker.mask_many(
                [TextToMask("I am Mehmet Yilmaz.", place), bad], tenant_id=boundary.tenant_id, origin=Origin.DOCUMENT
            )
    stranger = TextToMask("I am Mehmet Yilmaz.", MaskScope("t-other", None, "cus_one"))
    with pytest.raises(BrokenInvariant):
        boundary.masker.mask_many([stranger], tenant_id=boundary.tenant_id, origin=Origin.DOCUMENT)
    # The last one does not fit once masked: nothing of the first one stays.
    monkeypatch.setattr(masking.token_writing, "_MAX_MASKED_BYTES", 60)
    crowded = TextToMask("Mail ab@c.example, de@f.example and gh@i.example.", place)
    with pytest.raises(MaskedTextTooLong):
        boundary.masker.mask_many(
            [TextToMask("I am Mehmet Yilmaz.", place), crowded], tenant_id=boundary.tenant_id, origin=Origin.DOCUMENT
        )
    assert _count_tokens(conn_as, tenant) == before


def _count_tokens(conn_as: ConnAs, tenant: Tenant) -> int:
    row = conn_as("vault", tenant).execute("SELECT count(*) FROM vault.tokens").fetchone()
    assert row is not None
    return int(row[0])


class _Transactions:
    """Count transactions, on the way to the real ones."""

    def __init__(self, inner: Transact) -> None:
        self._inner = inner
        self.count = 0

    def __call__(self, tenant_id: str) -> AbstractContextManager[Any]:
        self.count += 1
        return self._inner(tenant_id)


def test_the_same_again_costs_no_transaction_until_the_records_change(boundary: Boundary, detector: Detector) -> None:
    _known(boundary)
    transact, now = _Transactions(boundary.transact), [0.0]
    masker = Masker(detector=detector, vault=boundary.vault, keys=boundary.keys, transact=transact, monotonic=lambda: now[0])

    def take() -> tuple[int, MaskedMessage]:
        before = transact.count
        known = masker.open_conversation(boundary.scope, actor="ada")
        message = masker.mask_message(TEXT, scope=boundary.scope, known_values=known, message_id=MESSAGE)
        return transact.count - before, message

    first, message = take()
    assert first > 0
    assert take() == (0, message)
    now[0] = 61.0
    assert take() == (1, message)
    masker.forget_subject(boundary.tenant_id, "cus_one")
    again, anew = take()
    assert again > 1
    assert (anew, anew is message) == (message, False)


def test_what_was_begun_before_the_records_changed_is_not_kept(boundary: Boundary, detector: Detector) -> None:
    class Forgetful:
        """Let the records change while a text is looked at."""

        def __init__(self) -> None:
            self.masker: Masker | None = None
            self.count = 0

        def detect(self, text: str, **found: Any) -> tuple[Detection, ...]:
            self.count += 1
            assert self.masker is not None
            if self.count == 1:
                self.masker.forget_tenant(boundary.tenant_id)
            return detector.detect(text, **found)

    slow = Forgetful()
    slow.masker = Masker(detector=slow, vault=boundary.vault, keys=boundary.keys, transact=boundary.transact)
    for _ in range(3):
        slow.masker.mask_message("I am Adebayo Okonkwo.", scope=boundary.scope)
    assert slow.count == 2


def test_what_the_masker_does_is_counted(boundary: Boundary, detector: Detector) -> None:
    metrics = MaskingMetrics()
    masker = Masker(
        detector=detector,
        vault=boundary.vault,
        keys=boundary.keys,
        transact=boundary.transact,
        meter=metrics,
        monotonic=time.monotonic,
    )
    for _ in range(3):
        masker.mask_message("Mail anna.b@mail.example.", scope=boundary.scope)
    lines = metrics.render(tenant_id="t-1", leak_incidents=2).decode().splitlines()
    assert "masked_texts_total 1.0" in lines
    assert "masking_cache_hits_total 2.0" in lines
    assert 'masked_spans_total{class="EMAIL",source="pattern"} 1.0' in lines
    assert 'masked_field_leakage_incidents{tenant="t-1"} 2.0' in lines
    assert 'tenant="t-1"' not in metrics.render(tenant_id="t-2", leak_incidents=0).decode()
    assert "anna" not in "".join(lines)


def test_an_answer_that_still_holds_a_value_is_not_handed_out(
    boundary: Boundary, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _known(boundary)
    monkeypatch.setattr(detector, "detect", lambda *_, **__: ())
    for text in ("Your card is 4000056655665556.", "Dear Marta Kowalska,"):
        with pytest.raises(LeakBlocked) as caught:
            boundary.masker.mask_output(text, scope=boundary.scope, known_values=known)
        assert text not in str(caught.value)


def test_nothing_of_an_erased_customer_stays_in_memory(boundary: Boundary) -> None:
    known = _known(boundary)
    boundary.masker.mask_message(TEXT, scope=boundary.scope, known_values=known)
    boundary.masker.mask_output("Dear customer, call +48 601 234 567.", scope=boundary.scope, known_values=known)
    kept = (masking.guard._finder, masking.detection._known_recognizer, masking.phones._is_possible, masking.phones._is_valid)
    assert any(finder.cache_info().currsize for finder in kept)
    boundary.masker.forget_subject(boundary.tenant_id, "cus_one")
    assert [finder.cache_info().currsize for finder in kept] == [0, 0, 0, 0]
