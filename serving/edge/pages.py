"""Render templates: one environment, autoescaped, with the few filters that pages need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from domain.ids import is_id
from domain.money import InvalidMoney, Money, render_money
from serving.edge.deps import EdgeOptions
from serving.edge.plain_text import (
    BLOCKED_TEXTS,
    NOTICES,
    OUTCOME_LABELS,
    OUTCOME_TEXTS,
    PART_LABELS,
    PART_TEXTS,
    REVIEW_STATES,
    UNDECIDED_TEXTS,
    reason_label,
    reason_text,
)
from serving.edge.sessions import SignedIn

TEMPLATES_DIR = Path(__file__).resolve().parents[1] / "templates"
_HANDLE = re.compile(r"(?<![A-Za-z0-9_])([TACBXDHK][0-9]{1,4})(?![A-Za-z0-9_])")
_PASSAGE_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}#[0-9]{1,6}")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Pages:
    """Hold the environment of templates."""

    environment: Environment

    @staticmethod
    def make(options: EdgeOptions) -> Pages:
        """Make the environment. A name that a template lacks is an error, not an empty string."""
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES_DIR),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            when=render_when,
            day=render_day,
            ago=render_ago,
            until=render_until,
            money=render_amount,
            handles=link_handles,
            quotes=split_quotes,
            fact_groups=group_facts,
        )
        # What the agents wrote goes into an address only in the shape that it claims to have.
        environment.tests.update(
            handle=lambda text: _HANDLE.fullmatch(text) is not None,
            passage_ref=lambda text: _PASSAGE_REF.fullmatch(text) is not None,
            decision_id=lambda text: is_id(text, "dec"),
        )
        environment.globals.update(
            outcome_labels=OUTCOME_LABELS,
            outcome_texts=OUTCOME_TEXTS,
            blocked_texts=BLOCKED_TEXTS,
            undecided_texts=UNDECIDED_TEXTS,
            review_states=REVIEW_STATES,
            notices=NOTICES,
            part_labels=PART_LABELS,
            part_texts=PART_TEXTS,
            reason_text=reason_text,
            reason_label=reason_label,
            receipt_key_hint=options.receipt_key_hint,
            asset=_asset_version(options.static_dir),
        )
        return Pages(environment)

    def render(self, template: str, **context: Any) -> str:
        """Return the text of a template."""
        return self.environment.get_template(template).render(**context)

    def page(
        self, template: str, *, signed_in: SignedIn | None, now: datetime, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """Return a page or a fragment for a person."""
        return HTMLResponse(self.render(template, signed_in=signed_in, now=now, **context), status_code=status)

    def show_problem(self, request: Request, *, status: int, title: str, code: str, detail: str) -> HTMLResponse:
        """Return what went wrong, as a notice inside a page for htmx and as a page otherwise."""
        fragment = request.headers.get("HX-Request") == "true"
        body = self.render(
            "problem_notice.html" if fragment else "problem_page.html",
            signed_in=getattr(request.state, "signed_in", None),
            now=datetime.now(UTC),
            status=status,
            title=title,
            code=code,
            detail=detail,
        )
        return HTMLResponse(body, status_code=status)


def render_when(moment: datetime) -> str:
    """Write a time in full, for titles."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def render_day(moment: datetime) -> str:
    """Write a day and the minute."""
    return moment.astimezone(UTC).strftime("%d %b %Y, %H:%M")


def render_ago(moment: datetime, now: datetime) -> str:
    """Write how long ago, in one unit."""
    age_s = int((now - moment).total_seconds())
    if age_s < _MINUTE_S:
        return "just now"
    return f"{_span(age_s)} ago"


def render_until(moment: datetime, now: datetime) -> str:
    """Write how long is left, or how late it is: the state is in the words, not in a colour."""
    left_s = int((moment - now).total_seconds())
    return f"{_span(left_s)} left" if left_s >= 0 else f"{_span(-left_s)} late"


def render_amount(amount_minor: int, currency: str) -> str:
    """Write an amount; odd ones as they are."""
    try:
        return render_money(Money(amount_minor, currency))
    except InvalidMoney:
        return f"{amount_minor} {currency}"


def link_handles(text: str, conversation_id: str) -> Markup:
    """Make each handle a button that opens its record. Everything else is escaped."""
    parts: list[Markup] = []
    end = 0
    for match in _HANDLE.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(
            Markup(
                '<button type="button" class="handle" hx-get="/conversations/{conversation}/handles/{handle}"'
                ' hx-target="#sheet-body" aria-haspopup="dialog">{handle}</button>'
            ).format(conversation=conversation_id, handle=match.group(1))
        )
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def split_quotes(text: str) -> tuple[tuple[bool, str], ...]:
    """Split a message into what the operator wrote and the lines that he quoted with `>`."""
    groups = groupby(text.split("\n"), key=lambda line: line.lstrip().startswith(">"))
    parts = (
        (quoted, "\n".join(line.lstrip().removeprefix(">").lstrip() if quoted else line for line in lines))
        for quoted, lines in groups
    )
    return tuple((quoted, part) for quoted, part in parts if part.strip())


def group_facts(facts: Mapping[str, object]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Group facts such as `transaction.amount_minor` by what they are about, in words."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in sorted(facts.items()):
        subject, _, rest = name.rpartition(".")
        groups.setdefault(subject or "other", []).append((rest.replace("_", " "), _fact_value(value)))
    return tuple((subject.replace("_", " ").capitalize(), tuple(rows)) for subject, rows in groups.items())


def _fact_value(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _span(seconds: int) -> str:
    for size, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _asset_version(static_dir: Path) -> Mapping[str, str]:
    """Return addresses of our own files with the time of their last change, so that a browser never keeps an old one."""
    addresses: dict[str, str] = {}
    for name in (
        "src/console.css",
        "src/console.js",
        "src/theme.js",
        "dist/app.css",
        "dist/htmx.min.js",
        "dist/ext/hx-sse.min.js",
    ):
        path = static_dir / name
        stamp = int(path.stat().st_mtime) if path.exists() else 0
        addresses[path.name] = f"/static/{name}?v={stamp}"
    return addresses
