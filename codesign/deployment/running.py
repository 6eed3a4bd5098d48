"""One's own samples through the accelerator on a board: read, quantized as in training, run, compared."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.counting import number_of
from codesign.deployment.hosts import connect
from codesign.deployment.session import Check, Deployment
from codesign.deployment.subject import Subject
from codesign.errors import BundleError, InputError, MismatchError
from codesign.files import write_whole
from codesign.measurement import Figure
from codesign.scoring import class_error, error_of
from hw.samples import finite, read_archive, require_samples
from quant.regression import OutputFormat, checked_targets
from quant.scaling import InputFormat

AT_ONCE = 1024
"""Samples between two words of progress."""
_X, _Y = ("x", "x_test"), ("y", "y_test")


@dataclass(frozen=True)
class Samples:
    """Features ``x`` (n, features); ``y`` where known: class numbers (n,), or targets (n, targets) of a regression."""

    x: NDArray[Any]
    y: NDArray[Any] | None


@dataclass(frozen=True)
class Ran:
    """``logits`` (n, outputs); ``answers``: classes (n,), or the values (n, targets) that a regression predicts.

    ``logits`` are None where the hardware gives classes alone. ``error`` is that against the samples' own, where known.
    ``compared``: whether the outputs were held against the canonical network of the run, bit for bit; then they are it.
    """

    logits: NDArray[np.float64] | None
    answers: NDArray[Any]
    error: Figure | None
    compared: bool


def read_samples(path: Path, manifest: Mapping[str, Any]) -> Samples:
    """The samples in an .npz file: ``x`` (or ``x_test``) and, if known, ``y`` (``y_test``). InputError otherwise."""
    arrays = read_archive(path, (*_X, *_Y), "x=...")
    key = next((name for name in _X if name in arrays), None)
    if key is None:
        present = ", ".join(arrays) or "nothing"
        raise InputError(f"{path} lacks x (or x_test), the samples; present: {present}")
    x, where = arrays[key], f"{key} of {path}"
    require_samples(where, x, len(manifest["input_format"]["gain"]))
    x = x.reshape(len(x), -1) if x.dtype == np.uint8 else finite(where, x, np.float64)
    label = next((name for name in _Y if name in arrays), None)
    if label is None:
        return Samples(x, None)
    where, meaning = f"{label} of {path}", _meaning(manifest)
    if meaning is None:
        return Samples(x, _labels(where, arrays[label], len(x), manifest["class_names"]))
    y = checked_targets(where, arrays[label])
    if y.shape != (len(x), len(meaning.gain)):
        raise InputError(f"{where} has shape {arrays[label].shape}: ({len(x)}, {len(meaning.gain)}) is needed")
    return Samples(x, y)


def run_on_board(
    subject: Subject,
    host: str,
    samples: Samples,
    *,
    step: Callable[[str], None] = lambda _: None,
    check: Callable[[Check], None] = lambda _: None,
) -> Ran:
    """Load the bundle on ``host``, hold it against its golden vectors, run the samples. Errors as of :func:`.deploy`.

    Where the run is known, MismatchError if one output differs from its integer network.
    """
    integers = _format(subject.bundle.manifest).quantize(samples.x)
    with connect(host, subject.bundle, said=step) as remote:
        deployment = Deployment(subject.bundle, remote, step=step, check=check)
        deployment.ready()
        layout, found = deployment.format, []
        for start in range(0, len(integers), AT_ONCE):
            step(f"running: {start:,} of {number_of(len(integers), 'sample')}")
            words = layout.encode(integers[start : start + AT_ONCE])
            found.append(layout.decode(remote.run(words, layout.output_words)))
    outputs = np.concatenate(found)
    compared = _hold(subject, integers, outputs)
    if subject.bundle.manifest.get("argmax"):
        classes = outputs[:, 0]
        return Ran(None, classes, None if samples.y is None else class_error(classes, samples.y), compared)
    logits = layout.to_real(outputs)
    meaning = _meaning(subject.bundle.manifest)
    answers = logits.argmax(axis=1).astype(np.int64) if meaning is None else meaning.predict(logits)
    error = None if samples.y is None else error_of(logits, samples.y, meaning)
    return Ran(logits, answers, error, compared)


def write_outputs(path: Path, ran: Ran, class_names: Sequence[str]) -> None:
    """Write ``classes`` and ``class_names`` or ``predicted``, and ``logits`` if there are, as .npz, whole or not."""
    written = io.BytesIO()
    arrays: dict[str, Any] = {"logits": ran.logits} if ran.logits is not None else {}
    if class_names:
        arrays |= {"classes": ran.answers, "class_names": np.array(class_names)}
    else:
        arrays["predicted"] = ran.answers
    np.savez(written, **arrays)
    write_whole(path, written.getvalue(), "run again, or give another --output")


def _hold(subject: Subject, integers: NDArray[np.int64], outputs: NDArray[np.int64]) -> bool:
    """Whether the outputs were compared with the integer network; MismatchError where one differs."""
    if subject.graph is None:
        return False
    wrong = np.flatnonzero((subject.graph.run(integers) != outputs).any(axis=1))
    if len(wrong):
        place = subject.run.folder if subject.run else subject.folder
        raise MismatchError(
            f"the board gives other outputs than the network of {place} for {len(wrong)} of "
            f"{number_of(len(outputs), 'sample')}, first sample {wrong[0]}; nothing that it computes is to be trusted"
        )
    return True


def _format(manifest: Mapping[str, Any]) -> InputFormat:
    try:
        return InputFormat.from_json(manifest["input_format"])
    except (ValueError, TypeError) as error:
        raise BundleError(f"the bundle has no usable input_format: {error}; build it again") from None


def _meaning(manifest: Mapping[str, Any]) -> OutputFormat | None:
    """What the outputs of a regression mean; None for classes."""
    try:
        meaning = manifest.get("output_format")
        return OutputFormat.from_json(meaning) if meaning is not None else None
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError(f"the bundle has no usable output_format: {error!r}; build it again") from None


def _labels(where: str, y: NDArray[Any], count: int, names: Sequence[str]) -> NDArray[np.int64]:
    """Numbers of classes; labels are what training knew them by."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (count,):
        raise InputError(f"{where} has shape {y.shape}: one label for each of {count} samples is needed")
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.floor(y)).all():
        y = y.astype(np.int64)
    numbers = {name: number for number, name in enumerate(names)}
    words = [label.decode(errors="replace") if isinstance(label, bytes) else str(label) for label in y.tolist()]
    unknown = sorted({word for word in words if word not in numbers})
    if unknown:
        raise InputError(
            f"{where} has labels that this network does not know: {', '.join(map(repr, unknown[:5]))}; it knows "
            f"{', '.join(list(names)[:12])}"
        )
    return np.array([numbers[word] for word in words], np.int64)
