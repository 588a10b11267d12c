"""`train`: make candidates for the registry from the past. Nothing made here is in force."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import TellergateError
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser

train_app = typer.Typer(name="train", help="Make candidates for the registry from the past.", no_args_is_help=True)
Out = Annotated[Path, typer.Option("--out", help="Folder for the artifacts.")]
Records = Annotated[Path | None, typer.Option("--records", help="Folder of JSON lines as ingest takes them; default the demo.")]
AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="What became known later is not used.")]
Register = Annotated[bool, typer.Option("--register", help="Hand the artifacts to the running service as candidates.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@train_app.command("score")
def train_score_command(
    out: Out,
    seed: Annotated[int, typer.Option("--seed", help="The same seed and records give the same bytes.")],
    records: Records = None,
    as_of: AsOf = None,
    register: Register = False,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Fit scorecard and trees for payments from labels, split by time."""
    from training.score import DEFAULT_AS_OF, TrainingOrder, train_score

    try:
        report = train_score(TrainingOrder(out, seed, as_of.date() if as_of else DEFAULT_AS_OF, records))
        _register(out, report, as_user, wanted=register)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(report)
        return
    print_line(f"from {report['source']}, split at {report['split_at']}")
    for made in report["artifacts"]:
        _print_made(made)


@train_app.command("baselines")
def train_baselines_command(
    out: Out,
    records: Records = None,
    as_of: AsOf = None,
    register: Register = False,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Learn what is usual for customers and merchants."""
    from training.baselines import train_baselines
    from training.score import DEFAULT_AS_OF

    try:
        report = train_baselines(out, as_of=as_of.date() if as_of else DEFAULT_AS_OF, records=records)
        _register(out, report, as_user, wanted=register)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(report)
        return
    print_line(f"from {report['source']}")
    for made in report["artifacts"]:
        after = made["after"]
        print_line(f"{made['file']}  candidate{_tell_registered(made)}, learned until {made['until']}")
        print_line(f"  calm ones flagged later: {after['calm_flagged_per_10k']} of 10,000")
        for pattern, counts in after["frauds"].items():
            print_line(f"  {pattern}: {counts['flagged']} of {counts['count']} flagged")


def _register(out: Path, report: dict[str, Any], as_user: str | None, *, wanted: bool) -> None:
    """Register what was made, and note each version in the report."""
    if not wanted:
        return
    from serving.cli.registry import register_trained

    for made in report["artifacts"]:
        made["registered"] = register_trained(out / made["file"], as_user)["version"]


def _print_made(made: dict[str, Any]) -> None:
    measured = made["validation"]
    print_line(f"{made['file']}  candidate{_tell_registered(made)}")
    print_line(
        f"  after the split: {measured['frauds']} frauds in {measured['rows']}, AUC {measured['auc_permille']} of 1000,"
        f" recall {measured['recall_permille']}, precision {measured['precision_permille']},"
        f" {measured['alerts_per_10k']} alerts in 10,000"
    )
    print_line(
        f"  as if 1 in 1000 were a fraud: precision {measured['precision_permille_at_1_in_1000']},"
        f" {measured['alerts_per_10k_at_1_in_1000']} alerts in 10,000"
    )


def _tell_registered(made: dict[str, Any]) -> str:
    return f", registered as {made['registered']}" if "registered" in made else ""
