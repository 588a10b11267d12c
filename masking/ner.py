"""The name model: Rampart, a small token classifier, run by onnxruntime on one thread.

Weights: "Rampart" by National Design Studio, CC BY 4.0; the attribution stands beside the files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession
from onnxruntime.capi.onnxruntime_pybind11_state import SessionOptions
from tokenizers import Tokenizer

from domain.errors import SetupError
from masking.classes import PiiClass
from masking.folding import needs_boundary

_MODEL_FILES = ("model.onnx", "onnx/model_q4.onnx", "model_q4.onnx")
_ONE_RUN_TOKENS = 256
_WINDOW_TOKENS = 200
_OVERLAP_TOKENS = 48
_SHAPED_TOKENS = 3
_SHAPED = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[a-z]{2,4}_[0-9a-z]{8,}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?Z?"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}|\b[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){3,7}(?: ?\d{1,3})?\b"
    r"|\b[0-9a-fA-F:]{16,}\b|0x[0-9a-fA-F]{20,}"
)
_PLACE = "PLACE"
_GROUPS: Mapping[str, str] = {
    "GIVEN_NAME": "PERSON", "SURNAME": "PERSON", "EMAIL": "EMAIL", "PHONE": "PHONE", "TAX_ID": "NATIONAL_ID",
    "GOVERNMENT_ID": "NATIONAL_ID", "BANK_ACCOUNT": "ACCOUNT", "ROUTING_NUMBER": "ROUTING", "PASSPORT": "PASSPORT",
    "DRIVERS_LICENSE": "LICENSE", "BUILDING_NUMBER": "ADDRESS", "STREET_NAME": "ADDRESS", "SECONDARY_ADDRESS": "ADDRESS",
    "ZIP_CODE": "ADDRESS", "CITY": _PLACE, "STATE": _PLACE,
}  # fmt: skip
NER_CLASSES = tuple(sorted({PiiClass(group) for group in _GROUPS.values() if group != _PLACE}))
# What may stand between two pieces of one value.
_GLUE = {"PERSON": " \t-'’.", "ADDRESS": " \t,.-/#\n", _PLACE: " \t,.-/\n"}
_DEFAULT_GLUE = " -./"


class NerModelUnusable(SetupError):
    """Say that the name model is missing or is not the one that was set up."""

    code = "ner_model_unusable"


@dataclass(frozen=True, slots=True)
class NerSpan:
    """Hold one value that the model sees. `probability` is 1 - P(outside), the highest of its pieces.

    `pii_class` is None for a town or a state by itself.
    """

    start: int
    end: int
    pii_class: PiiClass | None
    probability: float


class NerModel:
    """Hold a loaded model. Not for two threads at once on one core: scale with processes."""

    def __init__(self, folder: Path, *, sha256: str | None = None) -> None:
        """Load from a folder of `model.onnx` (int8) or `model_q4.onnx`, `tokenizer.json` and `config.json`.

        `sha256` is that of the model file, where it is known. Raises: NerModelUnusable.
        """
        path = next((folder / name for name in _MODEL_FILES if (folder / name).is_file()), None)
        if path is None:
            raise NerModelUnusable(f"no name model in {folder}: run ./tellergate doctor, then ./tellergate up")
        if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise NerModelUnusable(
                f"{path} is not the model that was set up (its hash differs): delete it and run the set-up again"
            )
        try:
            labels: dict[str, str] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session = _open_session(path)
        except Exception as error:
            raise NerModelUnusable(f"cannot load the name model in {folder}: {type(error).__name__}: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._begin, self._finish = self._tokenizer.token_to_id("[CLS]"), self._tokenizer.token_to_id("[SEP]")
        self._inputs = {tensor.name for tensor in self._session.get_inputs()}
        self._groups, self._columns = _group_columns(labels)

    def find(self, text: str, thresholds: Mapping[PiiClass, float]) -> list[NerSpan]:
        """Return what the model sees with at least its class's threshold; no overlaps, in order."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        # Each look at them makes the whole list anew.
        ids, offsets = encoding.ids, encoding.offsets
        if not ids:
            return []
        kept, place = _shorten(text, offsets)
        probabilities = self._classify([ids[number] for number in kept])[place]
        pieces = _pieces(offsets, probabilities, self._groups, thresholds)
        return [_to_span(text, group) for group in _glue(text, pieces)]

    def _classify(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Run overlapping windows; each half of an overlap is taken from the window where it stands further inside.

        Shape: (tokens, 1 + groups), P(outside) first.
        """
        parts: list[NDArray[np.float32]] = []
        start = 0
        size = len(ids) if len(ids) <= _ONE_RUN_TOKENS else _WINDOW_TOKENS
        while True:
            end = min(start + size, len(ids))
            window = self._run(ids[start:end])
            left = _OVERLAP_TOKENS // 2 if start else 0
            right = len(window) if end == len(ids) else len(window) - _OVERLAP_TOKENS // 2
            parts.append(window[left:right])
            if end == len(ids):
                return np.concatenate(parts)
            start = end - _OVERLAP_TOKENS

    def _run(self, ids: Sequence[int]) -> NDArray[np.float32]:
        row = np.array([[self._begin, *ids, self._finish]], dtype=np.int64)
        feeds = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        outputs: Any = self._session.run(None, {name: feeds[name] for name in self._inputs})
        logits: NDArray[np.float32] = outputs[0][0][1:-1].astype(np.float32)
        scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        grouped: NDArray[np.float32] = scores @ self._columns
        return grouped


def _shorten(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the tokens that the model reads, and for each token of the text the place of its answer among theirs.

    What a rule finds by its shape costs the model a dozen tokens each and tells it nothing: it reads the first few.
    """
    ends = dict(match.span() for match in _SHAPED.finditer(text))
    kept: list[int] = []
    place: list[int] = []
    until = read = 0
    for number, (start, _) in enumerate(offsets):
        if start >= until:
            until, read = ends.get(start, 0), 0
        if start < until:
            read += 1
        if start >= until or read <= _SHAPED_TOKENS:
            kept.append(number)
        place.append(len(kept) - 1)
    return kept, place


@dataclass(frozen=True, slots=True)
class _Piece:
    """One token that the model does not take for outside."""

    start: int
    end: int
    group: str
    probability: float


def _open_session(path: Path) -> Any:
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _group_columns(labels: Mapping[str, str]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the groups and the matrix that sums label probabilities into them. URLs count as outside."""
    groups = tuple(dict.fromkeys(_GROUPS.values()))
    columns = np.zeros((len(labels), 1 + len(groups)), dtype=np.float32)
    for number, label in labels.items():
        group = _GROUPS.get(label[2:])
        columns[int(number), 0 if group is None else 1 + groups.index(group)] = 1.0
    return groups, columns


def _pieces(
    offsets: Sequence[tuple[int, int]],
    probabilities: NDArray[np.float32],
    groups: Sequence[str],
    thresholds: Mapping[PiiClass, float],
) -> Iterator[_Piece]:
    inside = 1.0 - probabilities[:, 0]
    best = probabilities[:, 1:].argmax(axis=1)
    lowest = min(thresholds.values())
    for number in np.flatnonzero(inside >= lowest):
        group = groups[int(best[number])]
        threshold = thresholds[PiiClass.ADDRESS if group == _PLACE else PiiClass(group)]
        start, end = offsets[int(number)]
        if inside[number] >= threshold and end > start:
            yield _Piece(start, end, group, float(inside[number]))


def _glue(text: str, pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """Put the pieces of one value together. A place name joins an address, and is nothing by itself."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and _belongs(text, group[-1], piece):
            group.append(piece)
            continue
        if group:
            yield group
        group = [piece]
    if group:
        yield group


def _belongs(text: str, left: _Piece, right: _Piece) -> bool:
    gap = text[left.end : right.start]
    one_address = {left.group, right.group} <= {"ADDRESS", _PLACE}
    if left.group != right.group and not one_address:
        # Pieces of one word that the model cannot agree on are one value of the class that comes first.
        return not gap and text[right.start].isalnum() and text[left.end - 1].isalnum()
    return len(gap) <= 4 and set(gap) <= set(_GLUE.get(right.group, _DEFAULT_GLUE))


def _to_span(text: str, pieces: Sequence[_Piece]) -> NerSpan:
    groups = [piece.group for piece in pieces if piece.group != _PLACE]
    start, end = pieces[0].start, pieces[-1].end
    while start > 0 and needs_boundary(text[start]) and needs_boundary(text[start - 1]):
        start -= 1
    while end < len(text) and needs_boundary(text[end - 1]) and needs_boundary(text[end]):
        end += 1
    return NerSpan(start, end, PiiClass(groups[0]) if groups else None, max(piece.probability for piece in pieces))
