"""Prompt files: front matter and two sections. Checked against `manifest.json` before anyone may render them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, ValidationError

from prompts.errors import BrokenPromptFile

_FOLDER = Path(__file__).parent
PROMPT_FILE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)\.v(?P<version>[1-9][0-9]*)\.md")
_FRONT_MATTER_KEYS = ("name", "version", "input_type", "output_type", "owner")
_SECTION = re.compile(r"^## (system|user)\n", re.MULTILINE)
PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """Hold one version of one prompt. `sha256` is over the file's bytes."""

    name: str
    version: int
    input_type: str
    output_type: str
    owner: str
    system: str
    user: str
    sha256: str

    @property
    def prompt_id(self) -> str:
        """Return `name@version`, the form that records hold."""
        return f"{self.name}@{self.version}"

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the names that a rendering must give, in their order."""
        return tuple(dict.fromkeys(PLACEHOLDER.findall(self.user)))


class _Manifest(BaseModel):
    """`sha256`: every prompt by id. `production`: the version that is in use, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: dict[str, str]
    production: dict[str, int]


class PromptLibrary:
    """Hold the checked prompts of one folder, by name; the manifest's alias `production` picks the version."""

    def __init__(self, templates: Mapping[str, PromptTemplate], production: Mapping[str, int]) -> None:
        self._templates = MappingProxyType(dict(templates))
        self._production = MappingProxyType(dict(production))

    def find(self, name: str, version: int | None = None) -> PromptTemplate:
        """Return a prompt, the production version unless another is named. Raises: BrokenPromptFile."""
        wanted = version if version is not None else self._production.get(name)
        template = self._templates.get(f"{name}@{wanted}")
        if template is None:
            raise BrokenPromptFile(f"there is no prompt {name!r} in version {wanted}")
        return template

    def pin(self, sha256_of: Mapping[str, str]) -> PromptLibrary:
        """Return the library with the version of each name in use that has this content. Raises: BrokenPromptFile."""
        versions: dict[str, int] = {}
        for name in self._production:
            wanted = sha256_of.get(name)
            found = [one.version for one in self if one.name == name and one.sha256 == wanted]
            if not found:
                raise BrokenPromptFile(f"no file holds the version of {name} that is in force ({str(wanted)[:12]})")
            versions[name] = found[0]
        return PromptLibrary(self._templates, versions)

    def __iter__(self) -> Iterator[PromptTemplate]:
        return iter(self._templates.values())


def load_library(folder: Path = _FOLDER) -> PromptLibrary:
    """Read all prompts and compare them with the manifest, both ways. Raises: BrokenPromptFile."""
    manifest = _read_manifest(folder / "manifest.json")
    templates = {template.prompt_id: template for template in map(_read_template, sorted((folder / "templates").glob("*.md")))}
    listed = manifest.sha256
    if listed.keys() != templates.keys():
        odd = sorted(listed.keys() ^ templates.keys())
        raise BrokenPromptFile(f"prompts/manifest.json and prompts/templates differ in: {', '.join(odd)}")
    for prompt_id, template in templates.items():
        if listed[prompt_id] != template.sha256:
            raise BrokenPromptFile(f"{prompt_id} was edited: its sha256 is not the manifest's; make a new version instead")
    library = PromptLibrary(templates, manifest.production)
    for name in manifest.production:
        library.find(name)
    return library


def _read_manifest(path: Path) -> _Manifest:
    try:
        return _Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BrokenPromptFile(f"cannot read {path.name}: {error}") from error


def _read_template(path: Path) -> PromptTemplate:
    match = PROMPT_FILE.fullmatch(path.name)
    if match is None:
        raise BrokenPromptFile(f"{path.name}: expected a name like support_draft.v1.md")
    content = path.read_bytes()
    front, body = _split_front_matter(path.name, content.decode("utf-8"))
    if (front["name"], front["version"]) != (match["name"], match["version"]):
        raise BrokenPromptFile(f"{path.name}: front matter says {front['name']} version {front['version']}")
    sections = _SECTION.split(body)
    if len(sections) != 5 or sections[1::2] != ["system", "user"] or sections[0].strip():
        raise BrokenPromptFile(f"{path.name}: expected exactly the sections '## system' and '## user', in this order")
    system, user = sections[2].strip(), sections[4].strip()
    if PLACEHOLDER.search(system):
        # The system part is the prefix that the server's cache shares between turns.
        raise BrokenPromptFile(f"{path.name}: the system section is static and takes no placeholder")
    return PromptTemplate(
        name=front["name"],
        version=int(front["version"]),
        input_type=front["input_type"],
        output_type=front["output_type"],
        owner=front["owner"],
        system=system,
        user=user,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _split_front_matter(name: str, text: str) -> tuple[dict[str, str], str]:
    parts = text.split("---\n", 2)
    if len(parts) != 3 or parts[0]:
        raise BrokenPromptFile(f"{name}: expected front matter between two lines of ---")
    front = dict(line.split(": ", 1) for line in parts[1].splitlines() if ": " in line)
    if tuple(front) != _FRONT_MATTER_KEYS:
        raise BrokenPromptFile(f"{name}: front matter needs exactly {', '.join(_FRONT_MATTER_KEYS)}, in this order")
    return front, parts[2]
