"""What tests of deployments share: a host, and a run with a bundle as ``build`` leaves it, but the stand-in's."""

from __future__ import annotations

import json
from pathlib import Path

from agent_standin import INTERVAL, LATENCY
from test_build import store_run

from boards.bundle import Bundle
from codesign.artifacts import ArtifactStore
from codesign.build import simulation_bundle
from codesign.build_subject import Buildable
from codesign.record import Record
from codesign.run import read_run

HOST = "someone@lab-board.example.org"


def standin_bundle(folder: Path, record: Record, **changes: object) -> Bundle:
    """Of a candidate of the run in ``folder``, with the stand-in's cycles."""
    plain = simulation_bundle(Buildable.stored(read_run(folder), record))
    manifest = {
        **plain.manifest, "simulation_only": False, "latency_cycles": LATENCY, "interval_cycles": INTERVAL, **changes,
    }  # fmt: skip
    graph = json.loads(ArtifactStore(folder).get(record.artefacts["graph.json"]))
    bit = json.dumps({"graph": graph, "format": manifest["host_format"], "registers": manifest["registers"]}).encode()
    return Bundle(manifest, {**plain.files, f"{manifest['stem']}.bit": bit})


def built_run(here: Path, target: str = 'board = "pynq-z1"') -> tuple[Record, Path]:
    """The run ``runs/small`` below ``here``, and the path of its bundle from there."""
    record = store_run(here, target)
    run = Path("runs/small")
    path = run / "builds" / f"{record.digest[:8]}-bitstream" / "cdg_0123456789abcdef.zip"
    (here / path).parent.mkdir(parents=True)
    standin_bundle(here / run, record).write(here / path)
    return record, path
