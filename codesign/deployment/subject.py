"""What is to run on a board: the bundle in a file, or that of a run's candidate, and the run that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boards.bundle import SUFFIX, Bundle, read_bundle
from codesign.artifacts import ArtifactStore
from codesign.build import simulation_bundle
from codesign.build_subject import FOLDER, Buildable, measured_folder
from codesign.errors import BundleError, CodesignError, InputError, RunError
from codesign.picking import KNEE, pick
from codesign.place import PROGRAM, ROOT
from codesign.record import Record
from codesign.run import Run, find_run, read_run
from codesign.store import FILE
from codesign.target import is_virtual
from hw.graph import Graph

_KEYS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("board", "part", "build_id", "network", "candidate", "graph", "design", "codesign"), str),
    **dict.fromkeys(("host_format", "input_format", "registers"), dict),
    **dict.fromkeys(("latency_cycles", "interval_cycles"), int),
    "class_names": list, "clock_mhz": (int, float), "simulation_only": bool,
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A bundle; its ``run`` and ``record`` where they are known. ``folder`` is where what is said of it goes.

    ``graph``: the integer network that the outputs are held against, where that is known.
    """

    bundle: Bundle
    folder: Path
    run: Run | None = None
    record: Record | None = None
    graph: Graph | None = None

    @property
    def words(self) -> str:
        """The network in words."""
        return str(self.bundle.manifest["network"])


def find_subject(which: str | None, picked: str | None, host: str) -> Subject:
    """The bundle that ``which`` names: a file, a run (default: the newest) and its candidate ``picked``, or a network.

    The last is the folder that ``measure --out`` wrote.

    For a real board it is the one that ``build`` made; for a virtual one nothing need be built. Raises RunError where
    there is none, BundleError for a file that is none.
    """
    if which is not None and (which.endswith(SUFFIX) or Path(which).is_file()):
        if picked is not None:
            raise InputError(f"{which} is one candidate's bundle; leave out --pick {picked}, or give a run")
        return _of_file(Path(which))
    measured = measured_folder(which, picked)
    if measured is not None:
        return _of_network(Buildable.measured(measured), host, f"build {measured}")
    run = read_run(find_run(which))
    record = pick(run, picked or KNEE)
    how = f"build {run.folder.name} --pick {record.digest[:8]}"
    found = _of_network(Buildable.stored(run, record), host, how)
    return replace(found, run=run, record=record)


def _of_network(network: Buildable, host: str, how: str) -> Subject:
    """The bundle of a network for ``host``; ``how`` makes the one that real boards need."""
    if is_virtual(host):
        return Subject(simulation_bundle(network), network.folder("simulation"), graph=network.graph)
    folder = network.folder("bitstream")
    built = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    if not built:
        raise RunError(
            f"{network.place} has no bitstream of {network.digest[:8]} ({network.words}); make it with: {PROGRAM} {how}"
        )
    bundle = _whole(built[-1])
    if (bundle.manifest["candidate"], bundle.manifest["design"]) != (network.digest, network.design.digest()):
        raise BundleError(f"{built[-1]} is of another candidate than {network.digest[:8]}; build it again")
    return Subject(bundle, folder, graph=network.graph)


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
            run = read_run(folder)
            record = _built_from(run, bundle.manifest)
            if record is not None:
                graph = Graph.from_json(json.loads(ArtifactStore(folder).get(record.artefacts["graph.json"])))
                return Subject(bundle, path.parent, run, record, graph)
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


def _built_from(run: Run, manifest: Any) -> Record | None:
    """The candidate of this run whose RTL is in the bundle: other runs may have the same network, trained otherwise."""
    record = next((one for one in run.records if one.digest == manifest["candidate"]), None)
    if record is None or "design.json" not in record.artefacts:
        return None
    schedule = json.loads(ArtifactStore(run.folder).get(record.artefacts["design.json"]))
    return record if schedule["digest"] == manifest["design"] else None
