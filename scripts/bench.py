"""Benchmarks: of the search, and of what it makes.

``loop``: the default search, uncached, in a fresh folder; each candidate trained, built and measured.
``rtl``: our hardware beside that of others, see :mod:`bench_rtl`; folded layers and networks of images, see
:mod:`bench_folded` and :mod:`bench_images`.
``cluster``: how fast the coordinator of a cluster is, see :mod:`bench_cluster`.
``search``: measuring in the loop beside separate design, in equal time, see :mod:`bench_search`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from codesign.cli import version
from codesign.doctor import PACKAGES, examine
from codesign.errors import CodesignError
from codesign.loop import search
from codesign.progress import ProgressDisplay
from codesign.run import Run, run_folder
from codesign.study import Study
from codesign.workers import default_workers
from hw.measure.cache import SETTING

MISMATCHES = ("differs", "is scheduled as")
"""How the reasons of a failed comparison between two levels of a network read."""


class Watch(ProgressDisplay):
    """Notes when the first front stood and when the last candidate ended, in seconds from the start."""

    def __init__(self, console: Console, workers: int) -> None:
        super().__init__(console, workers)
        self.start = time.monotonic()
        self.first_front: float | None = None
        self.explored = 0.0

    def generation(self, number: int, front_size: int, hypervolume: float) -> None:
        """Note the time."""
        self.explored = time.monotonic() - self.start
        if front_size and self.first_front is None:
            self.first_front = self.explored
        super().generation(number, front_size, hypervolume)


def loop(workers: int) -> dict[str, Any]:
    """Run the default search; the figures of the benchmark."""
    os.environ[SETTING] = ""
    # not the memory disk that a temporary folder may be: what is stored must reach a real one
    with tempfile.TemporaryDirectory(prefix="codesign-bench-", dir=Path.cwd()) as folder:
        os.chdir(folder)
        try:
            study = Study()
            with Watch(Console(stderr=True), workers) as watch:
                run = search(study, run_folder(study), workers=workers, listener=watch)
            total = time.monotonic() - watch.start
        finally:
            os.chdir(Path(folder).parent)
    return {**figures(run, watch.explored), "first_front_seconds": watch.first_front, "total_seconds": total}


def figures(run: Run, seconds: float) -> dict[str, Any]:
    """What the records of a run say; candidates that were bounded out without training do not count."""
    measured = [record for record in run.records if "training" in record.seconds]
    stages: Counter[str] = Counter()
    for record in measured:
        stages.update(record.seconds)
    reasons = [record.reason for record in run.records if record.status == "failed"]
    reasons += [final.reason for final in run.finals.values() if final.measurement is None]
    return {
        "candidates": len(measured),
        "candidates_per_hour": 3600.0 * len(measured) / seconds,
        "stage_seconds": {stage: spent / len(measured) for stage, spent in stages.most_common()},
        "peak_memory_mib": max((record.peak_memory_mib or 0.0 for record in run.records), default=0.0),
        "mismatches": sum(any(words in reason for words in MISMATCHES) for reason in reasons),
        "counts": run.counts,
        "front": len(run.front),
        "hypervolume": run.generations[-1]["hypervolume"],
        "explored_seconds": seconds,
    }


def _proof(what: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = what.add_parser("search", help="measuring in the loop beside separate design")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each contender and seed; default: 600")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument("--data", default="digits", metavar="NAME|PATH", help="a dataset, or an .npz; default: digits")
    parser.add_argument("--contenders", default="", metavar="NAME,NAME", help="default: all")
    parser.add_argument("--workers", type=int, default=default_workers(), help="default: one per core")
    return parser


def main() -> int:
    """Run the chosen benchmark and store its figures."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures what codesign is and makes.")
    what = parser.add_subparsers(dest="what", required=True)
    searching = what.add_parser("loop", help="the default search, uncached")
    searching.add_argument("--workers", type=int, default=default_workers(), help="default: one per core")
    hardware = what.add_parser("rtl", help="parallel networks beside da4ml, folded layers, images")
    hardware.add_argument("--only", default="", metavar="TEXT", help="parallel cases whose name contains this alone")
    many = what.add_parser("cluster", help="records per second of a cluster's coordinator")
    proof = _proof(what)
    for benchmark in (searching, hardware, many, proof):
        benchmark.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures are written")
    options = parser.parse_args()
    target = options.json.absolute()
    findings, machine = examine()
    print(f"{machine.cpu}, {machine.cores} cores, {machine.memory_mib} MiB, {machine.system}")
    sys.path.append(str(Path(__file__).parent))  # -P leaves it out
    if options.what == "loop":
        values = {**loop(options.workers), "workers": options.workers}
        summary = f"{values['candidates_per_hour']:.0f} candidates per hour"
    elif options.what == "cluster":
        from bench_cluster import cluster

        values = cluster()
        summary = f"{values['records_per_second']:.0f} records per second"
    elif options.what == "search":
        from bench_judge import table
        from bench_search import prove

        values = prove(options)
        summary = table(values)
    else:
        from bench_folded import judge
        from bench_images import bench
        from bench_rtl import rtl

        values = rtl(options.only)
        if not options.only:
            values |= {"folded": judge(), **{name: bench(name, build=True) for name in ("lenet", "cnv")}}
            values["cnv_fast"] = bench("cnv_fast")
        parallel = values["parallel"]
        summary = (
            f"LUTs {parallel['geomean_lut_ratio']:.3f} of da4ml's in geometric mean, worst "
            f"{parallel['worst_lut_ratio']:.3f}"
        )
    versions = {found.name: found.version for found in findings if found.place or found.name in PACKAGES}
    values["machine"] = asdict(machine)
    values["versions"] = {"codesign": version(), "python": platform.python_version(), **versions}
    target.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    print(f"{summary}; figures in {target}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CodesignError as error:
        print(f"bench: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
