"""Other instruments on a candidate of a run, and what they said kept in its store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from codesign import build_subject
from codesign.artifacts import ArtifactStore
from codesign.errors import InputError, RunError
from codesign.instruments import HLS, RTL, C, require, take
from codesign.measuring import INSTRUMENTS, Measured, Subject
from codesign.picking import pick
from codesign.retraining import reported
from codesign.run import find_run, read_run
from codesign.store import Store
from codesign.submission import write_submission
from hw.implement import Announce, Implementation
from hw.measure.plan import write_files

NETLIST = "netlist.json.gz"


def measure_candidate(
    which: str,
    *,
    via: Sequence[str],
    out: Path | None = None,
    submit: Path | None = None,
    stage: Announce = lambda _: nullcontext(),
) -> Measured:
    """Measure ``RUN:ID`` (or ``RUN:knee``) of the RTL and netlist that the search made; readings go into its store.

    Raises as :func:`codesign.measuring.measure`; RunError for a run or candidate that cannot be used.
    """
    name, _, prefix = which.rpartition(":")
    run = read_run(find_run(name))
    record = pick(run, prefix)
    if {HLS, C} & set(via) or set(via) <= {RTL}:
        others = "vivado, vivado-routed or nextpnr, which measure its RTL"
        raise InputError(f"--via {','.join(via)} says nothing new of {which}; give {others}")
    target = run.task.target
    require(via, target)
    stored = build_subject.Subject.stored(run, record)
    own = next(one.measurement for one in reported(run.stored, run.retrained) if one.digest == record.digest)
    if own is None or NETLIST not in record.artefacts:
        raise RunError(f"candidate {record.digest[:8]} has no netlist to measure: {record.reason or record.status}")
    with TemporaryDirectory(prefix="codesign-") as scratch:
        write_files(Path(scratch), {NETLIST: ArtifactStore(run.folder).get(record.artefacts[NETLIST])})
        built = Implementation(stored.design, own, Path(scratch, NETLIST))
        readings = tuple(take(via, built, target, Path(scratch) if out is None else out / INSTRUMENTS, stage))
        with Store.append(run.folder) as store:
            for reading in readings:
                store.put_reading(record.digest, reading)
        if submit is not None:
            write_submission(submit, built, target, readings)
    subject = Subject(record.architecture.words(), stored.graph, record.architecture.hardware, target)
    seconds = sum(record.seconds.get(name, 0.0) for name in ("synthesis", "timing", "simulation"))
    return Measured(subject, stored.design, own, seconds=seconds, readings=readings)
