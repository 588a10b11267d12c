"""Detection in a process of its own says the same, and what happens to that process is nobody's text's end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from domain.errors import SetupError
from masking.classes import PiiClass
from masking.detection import Detector
from masking.detector_pool import DetectorPool, MaskingUnavailable
from masking.number_index import NumberIndex, build_index
from masking.number_prints import hash_form
from masking.vault import KnownValue, KnownValues
from tests.integration.edge.test_events import wait_for
from tests.integration.masking.conftest import NER_FOLDER

KEY = b"k" * 32
TEXTS = (
    "Customer Marta Kowalska says she was charged EUR 49.90 twice on 2026-03-04 by Blue Bottle Coffee (T1).",
    "Her friend Adebayo Okonkwo paid from GB29 NWBK 6016 1331 9268 19; ref 7304418829 and 5550001112.",
    "",
)
KNOWN = KnownValues("cus_one", "1", (KnownValue(PiiClass.PERSON, "Marta Kowalska", "<PERSON_7f3a9k2m-q4>"),))


def _index(form: str) -> NumberIndex:
    return build_index("t-1", KEY, [(PiiClass.ACCOUNT.value, hash_form(KEY, form).to_bytes(8, "big"))])


@pytest.fixture(scope="module")
def pool() -> Iterator[DetectorPool]:
    made = DetectorPool(NER_FOLDER, 1)
    yield made
    made.close()


def test_it_says_what_the_detector_says(pool: DetectorPool, detector: Detector) -> None:
    for text in TEXTS:
        for index in (None, _index("7304418829"), _index("5550001112"), None):
            asked = {"known_values": KNOWN, "known_numbers": index, "merchants": ("Blue Bottle Coffee",)}
            assert pool.detect(text, **asked) == detector.detect(text, **asked)  # type: ignore[arg-type]


def test_several_threads_get_their_own_answers(pool: DetectorPool, detector: Detector) -> None:
    texts = [f"Mail a{number}b@mail.example to Adebayo Okonkwo." for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(pool.detect, texts)) == [detector.detect(text) for text in texts]


def test_a_killed_process_costs_one_text_and_is_replaced(pool: DetectorPool, detector: Detector) -> None:
    worker = pool._idle.get()
    worker.process.kill()
    worker.process.join()
    pool._idle.put(worker)
    with pytest.raises(MaskingUnavailable) as caught:
        pool.detect(TEXTS[0])
    assert "Marta" not in str(caught.value)
    pool._idle.put(pool._idle.get(timeout=120))
    assert pool.detect(TEXTS[0], known_numbers=_index("7304418829")) == detector.detect(TEXTS[0])


_PARENT = """
import sys, time
from pathlib import Path
from masking.detector_pool import DetectorPool

if __name__ == "__main__":
    pool = DetectorPool(Path(sys.argv[1]), 1)
    worker = pool._idle.get()
    print(worker.process.pid, flush=True)
    time.sleep(600)
"""


def test_a_killed_parent_leaves_no_process_behind(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, str(script), str(NER_FOLDER)], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(root)}
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: not Path(f"/proc/{worker}").exists())


def test_an_unusable_model_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        DetectorPool(tmp_path, 1)
