"""Kill each part once while the others work: what still works goes on, what does not says so, and it comes back by itself."""

from __future__ import annotations

import concurrent.futures
import signal

import httpx
import pytest

from tests.acceptance.service import Service, is_alive

pytestmark = pytest.mark.slow
_QUESTION = "How long does a payout take to arrive?"
_REFUND = "The customer was charged twice, please refund the duplicate."


def _parts(service: Service) -> dict[str, str]:
    parts = httpx.get(f"{service.url}/readyz", timeout=10).json()["parts"]
    assert isinstance(parts, dict)
    return parts


def test_without_the_model_templates_answer(service: Service) -> None:
    customer = service.scenarios["payout_pending"]["customer_id"]
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        running = thread.submit(service.ask, customer, _QUESTION)
        killed = service.kill("vllm-chat")
        answer = running.result()
    assert answer["state"] == "complete"
    assert answer["sentences"]
    after = service.ask(customer, _QUESTION)
    assert {sentence["generated_by"] for sentence in after["sentences"]} == {"template"}
    service.wait_for_part("vllm-chat", other_than=killed, hang_s=420)


def test_without_agents_the_console_and_the_gate_work(service: Service) -> None:
    killed = service.kill("agents")
    with service.api("cleo") as approver:
        assert approver.get("/api/v1/reviews").status_code == 200
        assert approver.get("/api/v1/customers", params={"q": "cus_"}).status_code == 200
    service.wait_for_part("agents", other_than=killed)
    assert service.ask(service.scenarios["payout_pending"]["customer_id"], _QUESTION)["sentences"]


def test_without_the_money_process_nothing_is_executed_and_it_says_so(service: Service) -> None:
    case = service.scenarios["duplicate_usd"]
    killed = service.kill("money")
    run = service.cli("ask", "--customer", case["customer_id"], "--message", _REFUND, "--json")
    service.wait_for_part("money", other_than=killed)
    if run.status == 0 and run.json["decision"] is None:
        assert run.json["posting"] is None
        undecided = [action["undecided"]["text"] for action in run.json["actions"] if action["undecided"]]
        assert undecided or run.json["notice"]
    # The proposal waited in the inbox; the money process decided it once it was back, and asking again pays nothing twice.
    outcomes = [service.ask(case["customer_id"], _REFUND)["decision"]["outcome"] for _ in range(2)]
    posted = outcomes.count("allow") + (1 if run.status == 0 and run.json["posting"] else 0)
    assert posted <= 1
    assert outcomes[1] == "deny"


def test_the_edge_comes_back_and_sessions_live_on(service: Service) -> None:
    with service.api("ada") as operator:
        killed = service.kill("edge")
        service.wait_for_part("edge", other_than=killed)
        assert operator.get("/api/v1/customers", params={"q": "cus_"}).status_code == 200


def test_the_jobs_process_comes_back(service: Service) -> None:
    killed = service.kill("jobs")
    assert service.ask(service.scenarios["payout_pending"]["customer_id"], _QUESTION)["sentences"]
    service.wait_for_part("jobs", other_than=killed)


def test_the_database_comes_back_with_everything_committed(service: Service) -> None:
    case = service.scenarios["duplicate_small_3"]
    before = service.ask(case["customer_id"], _REFUND)["decision"]["outcome"]
    service.kill("database")
    service.wait_for_part("database")
    service.wait_for(lambda: _parts(service)["database"] == "up")
    assert before == "allow"
    assert service.ask(case["customer_id"], _REFUND)["decision"]["outcome"] == "deny"


def test_ctrl_c_leaves_nothing_behind_and_a_second_up_is_refused(small_service: Service) -> None:
    small_service.start()
    again = small_service.cli("up")
    assert again.status == 1
    assert "already running" in again.err
    family = small_service.descendants()
    assert len(family) >= 5
    assert small_service.stop(signal.SIGINT) == 0
    assert [pid for pid in family if is_alive(pid)] == []


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_start_works(small_service: Service) -> None:
    small_service.start()
    family = small_service.descendants()
    small_service.stop(signal.SIGKILL)
    small_service.wait_for(lambda: not any(is_alive(pid) for pid in family), hang_s=30)
    small_service.start()
    assert small_service.ask(small_service.scenarios["payout_pending"]["customer_id"], _QUESTION)["sentences"]
    assert small_service.stop(signal.SIGTERM) == 0


def test_ask_works_with_no_service_running(small_service: Service) -> None:
    run = small_service.cli("ask", "--customer", "cus_000000000000", "--message", "Hello?", "--json", hang_s=300)
    assert run.status == 2, run.out + run.err
    case = small_service.scenarios["duplicate_small"]
    answer = small_service.ask(case["customer_id"], _REFUND)
    assert answer["decision"]["outcome"] == "allow"
    assert answer["posting"]["amount_minor"] == case["amount_minor"]
    assert not (small_service.var_dir / "run" / "api.sock").exists()
