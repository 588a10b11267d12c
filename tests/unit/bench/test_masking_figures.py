"""What the masking bench counts as a leak, as a lost fact and as changed, and that a bench without a part says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.masking.__main__ import main, score_all
from bench.masking.figures import list_figures, list_general, list_questions, list_utterances
from bench.masking.independent import TextsUnreadable, read_banking77, read_nlupp, read_presidio_research
from bench.masking.labels import FactLabel, LabelledText, Owner, Span, ValueLabel
from bench.masking.scoring import Places, Score, score_text
from bench.masking.speed import join_to_length
from masking.classes import PiiClass
from serving.cli.testing import run_bench

TEXT = "Ada Byron paid EUR 49.90 with 4242 4242 4242 4242"
NAME, AMOUNT, CARD = (0, 9), (15, 24), (30, 49)


def labelled(text: str = TEXT, *, group: str = "anglo", owner: Owner = "customer", genre: str = "chat") -> LabelledText:
    values = (
        Span(*NAME, ValueLabel(PiiClass.PERSON, "name", owner, group)),
        Span(*CARD, ValueLabel(PiiClass.CARD, "card", owner, group)),
    )
    return LabelledText("t1", genre, "UK", text, values, (Span(*AMOUNT, FactLabel("amount")),), ((PiiClass.PERSON, "Ada Byron"),))


def clean() -> LabelledText:
    return LabelledText("t2", "clean", "UK", "How long does it take?", (), (), ())


def scored(*places: tuple[int, int], text: LabelledText | None = None) -> Score:
    score = Score()
    score_text(score, text or labelled(), places)
    return score


@pytest.mark.parametrize(
    ("places", "leaked", "strict"),
    [
        ([NAME, CARD], 0, 0),
        ([NAME], 1, 1),
        ([NAME, (30, 39)], 1, 1),
        ([NAME, (30, 40)], 1, 1),
        ([NAME, (30, 42)], 0, 1),
        ([NAME, (30, 44)], 0, 1),
        ([NAME, (30, 46)], 0, 0),
        ([(0, 4), CARD], 1, 1),
        ([(2, 9), CARD], 0, 0),
        ([], 2, 2),
    ],
)
def test_a_value_is_leaked_when_half_of_it_is_readable(places: Places, leaked: int, strict: int) -> None:
    score = scored(*places)
    assert score.values.wrong["all"] == leaked
    assert score.strict.wrong["all"] == strict
    assert score.texts.wrong["with_values"] == int(leaked > 0)


@pytest.mark.parametrize(("place", "lost"), [((15, 24), 1), ((23, 24), 1), ((18, 19), 0), ((10, 14), 0), ((9, 15), 0)])
def test_a_fact_is_lost_when_a_letter_or_digit_of_it_is_covered(place: tuple[int, int], lost: int) -> None:
    assert scored(NAME, CARD, place).facts.wrong["all"] == lost


def test_a_text_without_values_is_changed_by_any_place() -> None:
    assert scored(text=clean()).texts.percent("clean") == 0
    assert scored((0, 3), text=clean()).texts.percent("clean") == 100


def test_errors_name_each_leaked_value_and_lost_fact_with_the_text() -> None:
    rows = scored(NAME, (20, 24)).errors
    assert [(row["what"], row["kind"], row["shown"]) for row in rows] == [
        ("leaked", "card", "4242 4242 4242 4242"), ("lost", "amount", "EUR 49.90"),
    ]  # fmt: skip
    assert all(row["text"] == TEXT and row["known"] == [["PERSON", "Ada Byron"]] for row in rows)


def test_figures_stand_by_their_names_and_worst_group_against_best() -> None:
    people: tuple[tuple[str, Owner], ...] = (("anglo", "customer"), ("africa", "third_party"))
    texts = [labelled(group=group, owner=owner) for group, owner in people for _ in range(50)] + [clean()]
    half = Score()
    for number, text in enumerate(texts):
        places = [CARD] if text.values and number in range(50, 55) else [NAME, CARD] if text.values else []
        score_text(half, text, places)
    figures = {figure.name: figure for figure in list_figures(half, half)}
    assert figures["leak_rate"].value == 2.5
    assert (figures["leak_rate"].must, figures["leak_rate"].goal) == (1.0, 0.5)
    assert (figures["leak_rate_customer"].value, figures["leak_rate_third_party"].value) == (0.0, 5.0)
    assert figures["leak_person"].value == 5.0
    assert figures["leak_card"].value == 0.0
    assert figures["leak_iban"].value is None
    assert figures["texts_with_leak"].value == 5.0
    assert figures["keep_lost"].value == figures["clean_changed"].value == 0.0
    assert figures["names_africa_no_record"].value == figures["names_worst_group_no_record"].value == 10.0
    # The best group missed none: it counts as one miss in fifty.
    assert figures["names_worst_vs_best_no_record"].value == 5.0


class Everything:
    """Cover every word that begins with a capital."""

    def find(self, text: str, known: object = ()) -> Places:
        return [(0, len(text))] if known or text[:1].isupper() else []


def test_a_subject_gets_the_record_only_when_it_is_asked_with_it() -> None:
    assert (
        score_all(Everything(), [labelled("ada byron paid EUR 49.90 with 4242 4242 4242 4242")], with_record=True).errors[0][
            "what"
        ]
        == "lost"
    )
    assert score_all(Everything(), [labelled(TEXT.lower())], with_record=False).values.wrong["all"] == 2


def test_texts_of_others_are_read_and_counted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    span = {"entity_type": "PERSON", "entity_value": "Ada Byron", "start_position": 0, "end_position": 9}
    place = {"entity_type": "GPE", "entity_value": "Rome", "start_position": 13, "end_position": 17}
    research = [{"full_text": "Ada Byron in Rome", "spans": [span, place]}, {"full_text": "nothing", "spans": []}]
    (tmp_path / "data" / "synth_dataset_v2.json").write_text(json.dumps(research), encoding="utf-8")
    (tmp_path / "test.csv").write_text('text,category\nMy card?,card\n"a, b",other\n', encoding="utf-8")
    slots = {"person_name": {"text": "ada", "span": [3, 6]}, "amount_of_money": {"text": "$5", "span": [7, 9]}}
    (tmp_path / "fold0.json").write_text(json.dumps([{"text": "to ada $5", "slots": slots}, {"text": "hi"}]), encoding="utf-8")

    general = read_presidio_research(tmp_path)
    assert [len(text.values) for text in general] == [1, 0]
    assert {figure.name: figure.value for figure in list_general(score_all(Everything(), general, with_record=False))}[
        "general_leak_rate"
    ] == 0
    questions = list_questions(score_all(Everything(), read_banking77(tmp_path / "test.csv"), with_record=False))
    assert [(figure.name, figure.value) for figure in questions] == [("banking77_changed", 50.0)]
    utterances = read_nlupp(tmp_path)
    assert [(len(text.values), len(text.facts)) for text in utterances] == [(1, 1), (0, 0)]
    named = {figure.name: figure.value for figure in list_utterances(score_all(Everything(), utterances, with_record=False))}
    assert named == {"nlupp_names_leak": 100.0, "nlupp_slots_lost": 0.0}


def test_texts_of_others_that_are_not_there_or_not_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fold0.json").write_text("{", encoding="utf-8")
    (tmp_path / "questions.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for read, path in ((read_presidio_research, tmp_path), (read_nlupp, tmp_path), (read_nlupp, tmp_path / "none")):
        with pytest.raises(TextsUnreadable):
            read(path)
    with pytest.raises(TextsUnreadable):
        read_banking77(tmp_path / "questions.csv")
    assert main(["--banking77", str(tmp_path / "none.csv")]) == 1
    assert "none.csv" in capsys.readouterr().err


def test_long_texts_are_made_of_short_ones() -> None:
    joined = join_to_length([labelled() for _ in range(200)], count=5)
    assert len(joined) == 5
    assert all(480 <= len(text.text) <= 560 and text.known for text in joined)


@pytest.mark.parametrize("arguments", [["--texts", "0"], ["--part", "other"], ["--errors", "x.jsonl"]])
def test_options_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "bench masking" in capsys.readouterr().err


def test_the_command_knows_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    def note(command: tuple[str, ...]) -> int:
        ran.append(command)
        return 0

    monkeypatch.setattr("serving.cli.testing._run", note)
    assert run_bench("masking", ["--json"]) == 0
    assert ran == [("-m", "bench.masking", "--json")]
