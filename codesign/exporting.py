"""A network as software: its C model, or hls4ml's own project, of a candidate or of a model of one's own."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.artifacts import ArtifactStore
from codesign.build_subject import Buildable, measured_folder
from codesign.cli import version
from codesign.errors import DataError, InputError, ToolRunError
from codesign.kept_networks import load
from codesign.measuring import SEED, VECTORS, Subject
from codesign.picking import KNEE, pick
from codesign.record import Record
from codesign.run import Run, find_run, read_run
from codesign.solving import as_built
from codesign.target import BOARD, CLOCK_MHZ
from hw.cmodel.project import write_project
from hw.graph import Graph
from hw.hls4ml_flow import VITIS, VIVADO
from hw.implement import hold_c_simulation, random_vectors
from hw.measure.plan import write_files
from hw.samples import finite, read_archive, read_array, require_samples

C, HLS = "c", "hls"
TARGETS = (C, HLS)
SUFFIXES = (".keras", ".h5", ".onnx")
"""Of files that hold a model, where a run could be named as well."""
CONVERSION = "conversion.json"
_X, _Y = "x_test", "y_test"
_SAMPLES = 10_000


@dataclass(frozen=True)
class Exported:
    """What was written to ``folder``; ``notes`` say how exact it is.

    ``conversion``: of a model that was rounded, on the samples of ``data``.
    """

    folder: Path
    notes: tuple[str, ...] = ()
    conversion: Any = None
    data: str = ""


def is_model(named: str | None) -> bool:
    """Whether that names the file of a model and no run."""
    return named is not None and Path(named).suffix in SUFFIXES


def require_options(
    target: str, named: str | None, vectors: Path | None, formats: Sequence[str], data: Path | None
) -> None:
    """InputError for what does not go with the target, or with a model or a run."""
    if is_model(named) and target not in TARGETS:
        raise InputError(
            f"--target {target} is made of a run, not of {named}; codesign measure {named} --out DIR writes its RTL"
        )
    if vectors is not None and target != C:
        raise InputError(f"--vectors is for --target c, not {target}; leave it out")
    if formats and (target != C or not is_model(named)):
        raise InputError(f"--format is for --target c of a model in a file, not {named or 'a run'}: the rest is exact")
    if data is not None and not formats:
        raise InputError(
            f"--data {data} is what --format is judged on; without that the C model is exact: leave it out"
        )


def export(
    named: str | None,
    which: str | None,
    target: str,
    *,
    vectors: Path | None = None,
    formats: Sequence[str] = (),
    data: Path | None = None,
    phase: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Export the model in the file ``named`` to ``STEM-TARGET``, or a candidate of a run or what was measured.

    The latter two go to their builds; ``which`` is as for :func:`codesign.picking.pick`.
    """
    if named is not None and is_model(named):
        path = Path(named)
        folder = Path(f"{path.stem}-{target}")
        return export_model(path, target, folder, vectors=vectors, formats=formats, data=data, phase=phase)
    measured = measured_folder(named, which)
    if measured is not None:
        if target != C:
            raise InputError(
                f"{measured} holds no Keras model, of which hls4ml's project is made; give the model's file"
            )
        found = Buildable.measured(measured)
        return _write_c(found.name, found.graph, found.folder(target), vectors)
    run = read_run(find_run(named))
    record = pick(run, which or KNEE)
    return _export_candidate(run, record, target, vectors)


def _export_candidate(run: Run, record: Record, target: str, vectors: Path | None) -> Exported:
    found = Buildable.stored(run, record)
    folder = found.folder(target)
    if target == HLS:
        model = stored_model(ArtifactStore(run.folder), record)
        hardware = as_built(record.architecture.hardware, found.design)
        return _write_hls(Subject(found.name, found.graph, hardware, found.target, model), folder)
    written = _write_c(found.name, found.graph, folder, vectors)
    write_files(folder, {"input_format.json": json.dumps(found.meaning["input_format"]) + "\n"})
    return Exported(folder, (*written.notes, "input_format.json says how features become input integers"))


def export_model(
    path: Path,
    target: str,
    folder: Path,
    *,
    vectors: Path | None = None,
    formats: Sequence[str] = (),
    data: Path | None = None,
    phase: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the C model or hls4ml's project of a model of one's own.

    ``formats`` (of :class:`hw.formats.Formats`): what is not ternary is rounded to them, and how far that is from the
    model is reported, on the samples in ``data``, an .npz file with ``x_test`` and perhaps ``y_test``. ModelError for
    what cannot be exact where no format was chosen.
    """
    place = load_target(BOARD, None, CLOCK_MHZ)
    phase("lowering")
    if formats:
        return _export_rounded(path, folder, vectors, formats, data)
    subject = Subject.of(path, Hardware("parallel"), place)
    if target == C:
        return _write_c(subject.name, subject.graph, folder, vectors)
    if subject.model is None:
        raise InputError("--target hls: hls4ml's project is only made of Keras models here; give one, or --target c")
    phase("hls4ml's C simulation")
    return _write_hls(subject, folder)


def _export_rounded(
    path: Path, folder: Path, vectors: Path | None, texts: Sequence[str], data: Path | None
) -> Exported:
    from hw.conversion import convert
    from hw.formats import Clipped, Formats
    from hw.hls4ml_flow import parse
    from hw.lower import lower
    from quant.models import load_model

    formats, place = Formats.parse(texts), load_target(BOARD, None, CLOCK_MHZ)
    if path.suffix == ".onnx":
        raise InputError(f"--format is for Keras models, not {path}: what is in an ONNX model has its formats already")
    model = load_model(path)
    averaging = [layer.name for layer in model.layers if "AveragePooling" in type(layer).__name__]
    weighted = [layer.name for layer in model.layers if layer.weights]
    formats.require_layers(weighted, averaging)
    read = parse(model, place.part.name, place.clock_mhz, formats.input)
    clipped = dict[str, Clipped]()
    graph = lower(read, formats, clipped)
    x, labels = judged_on(data, graph)
    formats.require_use(lambda others: lower(read, others).digest() == graph.digest(), weighted, averaging)
    found = convert(model, graph, x, labels, clipped)
    written = _write_c(path.stem, graph, folder, vectors)
    source = str(data) if data else "random inputs"
    report = {"formats": list(texts), "data": source, **found.to_json()}
    write_files(folder, {CONVERSION: json.dumps(report, indent=2) + "\n"})
    notes = [f"{layer}: {lost.words()}; give {layer}.weight=fixed<W,I> a larger I" for layer, lost in clipped.items()]
    return Exported(folder, (*notes, *written.notes), found, source)


def judged_on(path: Path | None, graph: Graph) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Real inputs that formats are judged on, and labels where known; random ones without a file."""
    if path is None:
        return graph.input.type.to_real(random_vectors(graph, VECTORS, SEED)).astype(np.float32), None
    found = read_archive(path, (_X, _Y), f"{_X}=..., {_Y}=...")
    if _X not in found:
        raise DataError(f"{path} lacks {_X}, the samples; present: {', '.join(found) or 'nothing'}")
    require_samples(f"{_X} of {path}", found[_X], graph.input.size)
    x, labels = finite(f"{_X} of {path}", found[_X][:_SAMPLES], np.float32), found.get(_Y)
    if labels is not None:
        _require_labels(f"{_Y} of {path}", labels, len(found[_X]), max(2, graph.output.size))
        labels = labels[:_SAMPLES]
    return x, labels


def _require_labels(where: str, labels: NDArray[Any], count: int, outputs: int) -> None:
    """DataError unless they are ``count`` indices of ``outputs``; a model of one output decides 0 or 1 by its sign."""
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where} is {labels.dtype} of shape {labels.shape}; give ({count},) indices of outputs")
    wrong = labels[(labels < 0) | (labels >= outputs)]
    if len(wrong):
        raise DataError(
            f"{where} has the label {wrong[0]}, {len(wrong)} such in all: give indices of outputs, 0 to {outputs - 1}"
        )


def _write_c(name: str, graph: Graph, folder: Path, vectors: Path | None) -> Exported:
    x = random_vectors(graph, VECTORS, SEED) if vectors is None else read_array(vectors)
    write_project(graph, name, x, folder, f"codesign {version()}", str(vectors or "random vectors"))
    return Exported(folder, (f"compile and compare with the golden vectors: make -C {shlex.quote(str(folder))}",))


def _write_hls(subject: Subject, folder: Path) -> Exported:
    """Write hls4ml's projects of both backends, and compare the C simulation of each with the network."""
    from hw.hls4ml_differences import known_differences

    notes = []
    for backend in (VITIS, VIVADO):
        place, hardware, x = folder / backend.lower(), subject.hardware, subject.vectors()
        try:
            found = hold_c_simulation(subject.model, subject.graph, x, place, subject.target, hardware, backend)
        except ToolRunError as error:
            notes.append(f"{backend} backend: {error}")
            continue
        where = f", first at {found.details['first']}" if found.value else ""
        notes.append(
            f"{backend} backend: its C simulation differs from the integer network on {found.value:.0f} of "
            f"{found.details['vectors']} random vectors{where}"
        )
    notes += known_differences(subject.model)
    write_files(folder, {"README.md": _hls_words(subject, notes)})
    return Exported(folder, tuple(notes))


def _hls_words(subject: Subject, notes: Sequence[str]) -> str:
    target, listed = subject.target, "".join(f"- {note}\n" for note in notes)
    return f"""# {subject.name}: hls4ml's own projects

For {target.part.name} at {target.clock_mhz:g} MHz. `vitis/` is for Vitis HLS (`vitis-run --mode hls --tcl
build_prj.tcl`, or `vitis_hls -f build_prj.tcl`), `vivado/` for Vivado HLS (`vivado_hls -f build_prj.tcl`). hls4ml wrote
both; neither tool was run here. What was run is the C simulation of each, compiled with g++:

{listed}"""


def stored_model(store: ArtifactStore, record: Record) -> Any:
    """The canonical QKeras model of a stored candidate."""
    with tempfile.TemporaryDirectory(prefix="codesign-") as scratch:
        model, _ = load(store, record.artefacts, Path(scratch))
    return model
