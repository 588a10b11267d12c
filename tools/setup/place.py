"""Where set-up puts what it makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

VllmBuild = Literal["cpu", "gpu", "none"]


@dataclass(frozen=True, slots=True)
class Place:
    """The checkout that is being set up, and which build of vLLM it shall have."""

    root: Path
    var: Path
    vllm_build: VllmBuild = "cpu"

    @property
    def requirements(self) -> Path:
        """Lock files."""
        return self.root / "requirements"

    @property
    def venv(self) -> Path:
        """The application's environment."""
        return self.root / ".venv"

    @property
    def venv_vllm(self) -> Path:
        """The environment of the model servers."""
        return self.root / ".venv-vllm"

    @property
    def models(self) -> Path:
        """The starter models and their manifest."""
        return self.var / "models"

    @property
    def scratch(self) -> Path:
        """Tools and half-made things; safe to delete at any time."""
        return self.var / "setup"

    @property
    def logs(self) -> Path:
        """What the tools of set-up printed."""
        return self.var / "log"

    @property
    def static_dist(self) -> Path:
        """What the console serves to browsers."""
        return self.root / "static" / "dist"

    @property
    def node_modules(self) -> Path:
        """What the assets are built from."""
        return self.root / "node_modules"


def python_of(environment: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return environment / "bin" / "python"
