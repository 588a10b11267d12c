"""Which command triggers which part of set-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.setup.failures import SetupError
from tools.setup.launch import read_choices, run_setup
from tools.setup.place import Place
from tools.setup.report import Reporter
from tools.setup.table import ALL_STEPS, find_steps, steps_for

EVERYTHING = ("app", "vllm", "chat", "embedding", "ner", "assets")


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        ("", ("app",)),
        ("--help", ("app",)),
        ("up --help", ("app",)),
        ("verify receipt.json --key key.pub", ("app",)),
        ("decide proposal.json", ("app",)),
        ("doctor", ("app",)),
        ("ingest customers.csv --kind customers", ("app",)),
        ("no-such-command", ("app",)),
        ("mask", ("app", "ner")),
        ("ask --customer c1 --message hello --json", ("app", "ner")),
        ("ask --customer c1 --message hello --with-model", ("app", "vllm", "chat", "embedding", "ner")),
        ("up", EVERYTHING),
        ("test", ("dev", "vllm", "chat", "embedding", "ner", "assets")),
        ("test tests/unit", ("dev", "vllm", "chat", "embedding", "ner", "assets")),
    ],
)
def test_a_command_needs_these_steps_in_this_order(line: str, steps: tuple[str, ...]) -> None:
    assert steps_for(line.split()) == steps


def test_without_vllm_its_environment_and_models_are_left_out() -> None:
    assert steps_for(["up"], with_vllm=False) == ("app", "ner", "assets")
    assert steps_for(["ask", "--with-model"], with_vllm=False) == ("app", "ner")


def test_every_step_can_be_found(tmp_path: Path) -> None:
    place = Place(root=tmp_path, var=tmp_path / "var")
    names = ("app", "dev", *ALL_STEPS[1:])
    assert tuple(step.name for step in find_steps(place, names)) == names


@pytest.mark.parametrize(
    ("environment", "build"),
    [
        ({}, "cpu"),
        ({"TELLERGATE_VLLM": ""}, "cpu"),
        ({"TELLERGATE_VLLM": "GPU"}, "gpu"),
        ({"TELLERGATE_VLLM": "none"}, "none"),
        ({"TELLERGATE_WITH_MODEL": "False"}, "none"),
        ({"TELLERGATE_WITH_MODEL": "true"}, "cpu"),
    ],
)
def test_the_environment_chooses_the_build(environment: dict[str, str], build: str, tmp_path: Path) -> None:
    assert read_choices(tmp_path, environment).vllm_build == build


def test_the_environment_moves_the_data_folder(tmp_path: Path) -> None:
    assert read_choices(tmp_path, {}).var == tmp_path / "var"
    assert read_choices(tmp_path, {"TELLERGATE_VAR_DIR": "data"}).var == tmp_path / "data"
    assert read_choices(tmp_path, {"TELLERGATE_VAR_DIR": "/srv/tellergate"}).var == Path("/srv/tellergate")


def test_a_wrong_build_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"TELLERGATE_VLLM is 'tpu'. Set it to cpu, gpu or none"):
        read_choices(tmp_path, {"TELLERGATE_VLLM": "tpu"})


@pytest.mark.parametrize("options", [["--bogus"], ["--with-vllm", "--no-vllm"]])
def test_setup_refuses_wrong_options(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_setup(tmp_path, read_choices(tmp_path, {}), options, Reporter()) == 2
    assert "usage: ./tellergate setup" in capsys.readouterr().err
