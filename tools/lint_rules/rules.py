"""The rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.lint_rules.source import Finding, Source

MAX_FUNCTION_LINES = 70
_MONEY_PACKAGES = frozenset({"domain", "ledger", "gates"})
_BANNED_MODULE_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "common", "misc"})
_CLOCK_CALLS = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"})
_CLOCKLESS = frozenset(
    {"domain", "storage", "ledger", "gates", "screening", "masking", "prompts", "retrieval", "documents", "agents"}
)
_ENVIRONMENT_READERS = frozenset({Path("serving/settings.py")})
# Set-up runs before settings can be imported; tests set up their own machine.
_ENVIRONMENT_FREE = frozenset({"tools", "tests", "bench", "evals"})

_PLANE_OF_VERB: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("decide", "screen"), frozenset({"gates", "screening"})),
    "score": frozenset({"gates", "screening", "training"}),
    **dict.fromkeys(("hold", "post", "void", "reverse"), frozenset({"ledger", "gates"})),
    **dict.fromkeys(("mask", "unmask"), frozenset({"masking"})),
    **dict.fromkeys(
        ("draft", "propose", "retrieve", "summarize", "extract"), frozenset({"agents", "retrieval", "documents", "prompts"})
    ),
}
# The edge, the demo and the tests call what the planes own, and may name their own wrappers after it.
_VERB_FREE = frozenset({"serving", "demo", "tests", "tools", "bench", "evals"})


def check_function_length(source: Source) -> Iterator[Finding]:
    """A function that does not fit a screen hides a branch from its reader."""
    if source.package == "tests":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield Finding(source.path, node.lineno, "function-length", f"{node.name}: {lines} lines > {MAX_FUNCTION_LINES}")


def check_exact_money(source: Source) -> Iterator[Finding]:
    """A float or a true division rounds somebody's money away."""
    if source.package not in _MONEY_PACKAGES:
        return
    type_tests = _type_tests(source.tree)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not _joins_path(node):
            yield Finding(source.path, node.lineno, "exact-money", "no `/` where money is: use //, allocate(), or joinpath()")
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield Finding(source.path, node.lineno, "exact-money", "no float where money is")
        if isinstance(node, ast.Name) and node.id in ("float", "Decimal") and node.lineno not in type_tests:
            yield Finding(source.path, node.lineno, "exact-money", f"no {node.id} where money is")


def _joins_path(node: ast.AST) -> bool:
    """`folder / "name"` is no arithmetic: one side of it is a text. Elsewhere write `folder.joinpath(name)`."""
    if not isinstance(node, ast.BinOp):
        return False
    sides = (node.left, node.right)
    is_text = any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str)) for side in sides
    )
    return is_text or any(isinstance(side, ast.BinOp) and isinstance(side.op, ast.Div) and _joins_path(side) for side in sides)


def _type_tests(tree: ast.Module) -> frozenset[int]:
    """Return the lines of `isinstance(…)` calls: refusing a float has to name it."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return frozenset(call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "isinstance")


def check_verbs(source: Source) -> Iterator[Finding]:
    """`grep -rn "def decide_"` must find where a refund is decided, and nothing else."""
    if source.package in _VERB_FREE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("__"):
                continue
            verb, _, rest = node.name.lstrip("_").partition("_")
            planes = _PLANE_OF_VERB.get(verb)
            if rest and planes is not None and source.package not in planes:
                yield Finding(source.path, node.lineno, "verb", f"`{verb}_` belongs to {', '.join(sorted(planes))}")


def check_module_name(source: Source) -> Iterator[Finding]:
    """A module named `utils` is where things go that nobody finds again."""
    if source.path.stem in _BANNED_MODULE_NAMES or _BANNED_MODULE_NAMES & set(source.path.parent.parts):
        yield Finding(source.path, 1, "module-name", "name the module after what it answers")


def check_clock(source: Source) -> Iterator[Finding]:
    """A function that reads the clock can't be replayed: `now` enters at the edge and is passed down."""
    if source.package not in _CLOCKLESS:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ".".join(ast.unparse(node.func).split(".")[-2:])
            if called in _CLOCK_CALLS:
                yield Finding(source.path, node.lineno, "clock", f"{called}() below the edge: take `now` as an argument")


def check_environment(source: Source) -> Iterator[Finding]:
    """A setting that is read in two places has two defaults."""
    if source.path in _ENVIRONMENT_READERS or source.package in _ENVIRONMENT_FREE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv"):
            yield Finding(source.path, node.lineno, "environment", "only serving/settings.py reads the environment")


def check_package_docstring(source: Source) -> Iterator[Finding]:
    """Whoever opens a folder must learn its question first, and find no code hidden in `__init__`."""
    if source.path.name != "__init__.py" or source.package == "tests" or "migrations" in source.path.parts:
        return
    if ast.get_docstring(source.tree) is None or len(source.tree.body) != 1:
        yield Finding(source.path, 1, "package-docstring", "an __init__.py is a docstring and nothing else")


RULES = (
    check_function_length,
    check_exact_money,
    check_verbs,
    check_module_name,
    check_clock,
    check_environment,
    check_package_docstring,
)
