"""What is to run on a board: the bundle in a file, or that of a run's candidate, and the run that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.bundle import SUFFIX, Bundle, read_bundle
from codesign.artifacts import ArtifactStore
from codesign.build import FOLDER, simulation_bundle
from codesign.errors import BundleError, CodesignError, InputError, RunError
from codesign.picking import KNEE, pick
from codesign.place import PROGRAM
from codesign.record import Record
from codesign.run import ROOT, Run, find_run, read_run
from codesign.store import FILE, Store
from codesign.target import is_virtual

_KEYS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("board", "part", "build_id", "network", "candidate", "graph", "design", "codesign"), str),
    **dict.fromkeys(("host_format", "input_format", "registers"), dict),
    **dict.fromkeys(("latency_cycles", "interval_cycles"), int),
    "class_names": list, "clock_mhz": (int, float), "simulation_only": bool,
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A bundle; its ``run`` and ``record`` where they are known. ``folder`` is where what is said of it goes."""

    bundle: Bundle
    folder: Path
    run: Run | None = None
    record: Record | None = None

    @property
    def words(self) -> str:
        """The network in words."""
        return str(self.bundle.manifest["network"])


def find_subject(which: str | None, picked: str | None, host: str) -> Subject:
    """The bundle that ``which`` names: a file, or a run (default: the newest), of whose candidates ``picked`` is one.

    For a real board it is the one that ``build`` made; for a virtual one nothing need be built. Raises RunError where
    there is none, BundleError for a file that is none.
    """
    if which is not None and (which.endswith(SUFFIX) or Path(which).is_file()):
        if picked is not None:
            raise InputError(f"{which} is one candidate's bundle; leave out --pick {picked}, or give a run")
        return _of_file(Path(which))
    run = read_run(find_run(which))
    record = pick(run, picked or KNEE)
    if is_virtual(host):
        folder = run.folder / FOLDER / f"{record.digest[:8]}-simulation"
        return Subject(simulation_bundle(run, record), folder, run, record)
    folder = run.folder / FOLDER / f"{record.digest[:8]}-bitstream"
    built = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    if not built:
        raise RunError(
            f"{run.folder} has no bitstream of {record.digest[:8]} ({record.architecture.words()}); make it with: "
            f"{PROGRAM} build {run.folder.name} --pick {record.digest[:8]}"
        )
    bundle = _whole(built[-1])
    if _built_from(run.folder, bundle.manifest) is None or bundle.manifest["candidate"] != record.digest:
        raise BundleError(f"{built[-1]} is of another candidate than {record.digest[:8]}; build it again")
    return Subject(bundle, folder, run, record)


def _whole(path: Path) -> Bundle:
    """The bundle in a file, with all that is needed of its manifest."""
    bundle = read_bundle(path)
    lacking = [key for key, kind in _KEYS.items() if not isinstance(bundle.manifest.get(key), kind)]
    if lacking:
        words = f"the manifest of {path} has no usable {', '.join(lacking)}"
        raise BundleError(f"{words}: it is of another version of codesign; build it again")
    return bundle


def _of_file(path: Path) -> Subject:
    bundle = _whole(path)
    for folder in _runs(path):
        with suppress(CodesignError):  # a run that cannot be read is not this one's
            record = _built_from(folder, bundle.manifest)
            if record is not None:
                return Subject(bundle, path.parent, read_run(folder), record)
    return Subject(bundle, path.parent)


def _runs(path: Path) -> Iterator[Path]:
    """Folders where the bundle's run may be: around it, then below the current folder, newest first."""
    around = path.absolute().parents
    if len(around) > 2 and around[1].name == FOLDER:
        yield around[2]
    yield from sorted(
        (found.parent for found in ROOT.glob(f"*/{FILE}")),
        key=lambda run: (run / FILE).stat().st_mtime_ns,
        reverse=True,
    )


def _built_from(folder: Path, manifest: Any) -> Record | None:
    """The candidate of this run whose RTL is in the bundle: other runs may have the same network, trained otherwise."""
    with Store.read(folder) as store:
        record = next((one for one in store.records() if one.digest == manifest["candidate"]), None)
    if record is None or "design.json" not in record.artefacts:
        return None
    schedule = json.loads(ArtifactStore(folder).get(record.artefacts["design.json"]))
    return record if schedule["digest"] == manifest["design"] else None
