"""Ten questions to a running service: when does the first line come, when the model's first checked sentence, when the end?

Also the memory of each part at rest (proportional set size). Needs `./tellergate up` with the demo tenant.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.report import Figure, percentile, print_report
from serving.cli.client import ApiClient
from serving.settings import read_settings
from serving.supervisor.state import read_state

QUESTIONS: tuple[tuple[str, str], ...] = (
    ("payout_pending", "When does the payout arrive?"),
    ("payout_settled", "Where is the payout of this customer?"),
    ("fee_foreign_payment", "Why was there a foreign payment fee?"),
    ("fee_cash_withdrawal", "Why did the customer pay a fee for the cash withdrawal?"),
    ("fee_plan", "What is the monthly fee for?"),
    ("decline_insufficient_funds", "Why was the payment declined?"),
    ("decline_card_expired", "Why was the card declined?"),
    ("decline_limit_exceeded", "The card was declined yesterday, why?"),
    ("dispute_open", "What happens with the open dispute?"),
    ("legitimate_repeat", "How does a customer dispute a charge?"),
)


@dataclass(frozen=True, slots=True)
class Times:
    """Hold the milliseconds of one answer. `model_ms` is None where the model wrote no sentence."""

    first_ms: int
    model_ms: int | None
    done_ms: int
    sentences: int
    by_model: int


def main(arguments: list[str]) -> int:
    """Ask, measure, print."""
    settings = read_settings()
    scenarios = json.loads((settings.var_dir / "demo-scenarios.json").read_text(encoding="utf-8"))["scenarios"]
    client = ApiClient(settings)
    client.sign_in("ada")
    times = [ask(client, scenarios[name]["customer_id"], question) for name, question in QUESTIONS]
    print_report("answers", [*_figures(times), *_memory(settings.run_dir)], as_json="--json" in arguments)
    return 0


def ask(client: ApiClient, customer_id: str, question: str) -> Times:
    """Ask one question in a conversation of its own and read the answer to its end."""
    made = client.call("POST", "/api/v1/conversations", json={"customer_id": customer_id})
    started = time.monotonic()
    first_ms = model_ms = None
    sentences = by_model = done_ms = 0
    for event in client.stream("POST", f"/api/v1/conversations/{made['conversation_id']}/messages", json={"text": question}):
        at_ms = int((time.monotonic() - started) * 1000)
        if event["type"] == "sentence":
            sentences += 1
            first_ms = at_ms if first_ms is None else first_ms
            if event["sentence"]["generated_by"] == "model":
                by_model += 1
                model_ms = at_ms if model_ms is None else model_ms
        done_ms = at_ms
    return Times(first_ms or done_ms, model_ms, done_ms, sentences, by_model)


def _figures(times: list[Times]) -> list[Figure]:
    first = [one.first_ms for one in times]
    model = [one.model_ms for one in times if one.model_ms is not None]
    done = [one.done_ms for one in times]
    figures = [
        Figure("first_line_p50_ms", percentile(first, 50), "ms"),
        Figure("first_line_p95_ms", percentile(first, 95), "ms", goal=1000),
        Figure("answers_with_model_sentence", len(model), "of 10"),
        Figure("sentences_by_model", sum(one.by_model for one in times), f"of {sum(one.sentences for one in times)}"),
    ]
    if model:
        figures += [
            Figure("first_sentence_p50_ms", percentile(model, 50), "ms"),
            Figure("first_sentence_p95_ms", percentile(model, 95), "ms", goal=3500),
        ]
    return [
        *figures,
        Figure("whole_answer_p50_ms", percentile(done, 50), "ms"),
        Figure("whole_answer_p95_ms", percentile(done, 95), "ms", goal=8000),
    ]


def _memory(run_dir: Path) -> list[Figure]:
    state = read_state(run_dir)
    if state is None:
        return []
    children = _children_by_parent()
    parts = [(part.name.replace("-", "_"), _family(part.pid, children)) for part in state.parts if part.pid is not None]
    return [Figure(f"memory_{name}_mb", _pss_mb(pids), "MB") for name, pids in [("supervisor", [state.supervisor_pid]), *parts]]


def _children_by_parent() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _family(pid: int, children: dict[int, list[int]]) -> list[int]:
    return [pid, *(member for child in children.get(pid, ()) for member in _family(child, children))]


def _pss_mb(pids: list[int]) -> int:
    total_kb = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total_kb += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total_kb // 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
