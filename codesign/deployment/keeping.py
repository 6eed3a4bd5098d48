"""A deployment, and what is kept of it: a report beside the bundle, and the result in the run's store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from boards.meters import Meter
from codesign.board_loop.result import BoardResult, Stage
from codesign.deployment.hosts import connect
from codesign.deployment.report import markdown, report_values
from codesign.deployment.session import COMPARING, Check, Deployed, Deployment
from codesign.deployment.subject import Subject
from codesign.errors import CandidateError, CodesignError, InputError, MismatchError, StorageError
from codesign.files import write_whole
from codesign.place import PROGRAM
from codesign.store import Store
from codesign.target import is_virtual

REPORT = "deploy-report"
CONNECTING = "connecting"


@dataclass(frozen=True)
class Kept:
    """What became of a deployment: ``known`` by its end, ``error`` where it failed, and the ``report`` of it.

    ``stored`` in the subject's run, unless that is not known, no board answered, or the wrong thing was asked for.
    """

    known: Deployed
    error: CodesignError | None
    report: Path
    stored: bool


def deploy_and_keep(
    subject: Subject,
    host: str,
    *,
    meter: Meter | None = None,
    step: Callable[[str], None] = lambda _: None,
    check: Callable[[Check], None] = lambda _: None,
) -> Kept:
    """Deploy on ``host``; a failure is kept as a success is. StorageError where nothing can be kept."""
    known, at, error = Deployed.nothing(), CONNECTING, None
    try:
        step(CONNECTING)
        with connect(host, subject.bundle, said=step) as remote:
            deployment = Deployment(subject.bundle, remote, step=step, check=check, meter=meter)
            try:
                deployment.deploy()
            finally:
                known, at = deployment.known(), deployment.at
    except CodesignError as raised:
        if type(raised) is InputError and at == CONNECTING:  # a mistyped host: it must not replace an earlier report
            raise
        error = raised
    date = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        stored = _store(subject, host, known, at, error, date)
    finally:  # a store that refuses is no reason to lose the report as well
        report = _write_report(subject, host, known, at, error, date)
    return Kept(known, error, report, stored)


def failed_at(error: CodesignError, at: str) -> Stage:
    """The stage for a deployment that ended so at step ``at``.

    Only wrong outputs are a mismatch; another build that answers, or none, is a board that does not work.
    """
    return "mismatch" if isinstance(error, MismatchError) and at == COMPARING else "board"


def _store(subject: Subject, host: str, known: Deployed, at: str, error: CodesignError | None, date: str) -> bool:
    if subject.run is None or subject.record is None or "hello" not in known.described:
        return False
    if isinstance(error, InputError):  # says nothing of the candidate, or of the board
        return False
    result = BoardResult(
        digest=subject.record.digest,
        host=host,
        date=date,
        measurement=known.measurement if error is None or known.measurement.figures else None,
        failed_at=None if error is None else failed_at(error, at),
        reason="" if error is None else str(error),
        log=error.log if isinstance(error, CandidateError) else "",
        described=known.described,
        seconds=known.seconds,
        design=subject.bundle.manifest["design"],
    )
    with Store.append(subject.run.folder) as store:
        store.put_board(result)
    return True


def _write_report(
    subject: Subject, host: str, known: Deployed, at: str, error: CodesignError | None, date: str
) -> Path:
    values = report_values(subject, host, known, at, error, date)
    stem = f"{REPORT}-virtual" if is_virtual(host) else REPORT
    path, then = subject.folder / f"{stem}.md", f"run: {PROGRAM} deploy again"
    try:
        subject.folder.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise StorageError(f"cannot make {subject.folder}: {refused.strerror}; make room there, then {then}") from None
    write_whole(path.with_suffix(".json"), json.dumps(values, indent=2) + "\n", then)
    write_whole(path, markdown(values), then)
    return path
