"""Benchmarks: of the search, and of what it makes.

``loop``: the default search, uncached, in a fresh folder; each candidate trained, built and measured.
``rtl``: our hardware beside that of others, see :mod:`bench_rtl`; folded layers and networks of images, see
:mod:`bench_folded` and :mod:`bench_images`. ``folded`` and ``images`` are these alone.
``hls``: our RTL beside hls4ml's HLS and the C model, see :mod:`bench_hls`.
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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from codesign.cli import version
from codesign.doctor import PACKAGES, examine
from codesign.errors import CodesignError, InputError
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


Found = tuple[dict[str, Any], str]
"""The figures of a benchmark, and one line of them."""


def _loop(options: argparse.Namespace) -> Found:
    values = {**loop(options.workers), "workers": options.workers}
    return values, f"{values['candidates_per_hour']:.0f} candidates per hour"


def _rtl(options: argparse.Namespace) -> Found:
    from bench_folded import judge
    from bench_images import bench
    from bench_rtl import rtl

    values = rtl(options.only)
    if not options.only:
        values |= {"folded": judge(), "lenet": bench("lenet", build=True, flat=True)}
        values |= {name: bench(name, build=True) for name in ("cnv", "cnv_fast")}
    if not values["parallel"]["compared"]:
        return values, "nothing was compared with da4ml"
    ratios = [values["parallel"][f"{name}_lut_ratio"] for name in ("geomean", "worst")]
    return values, f"LUTs {ratios[0]:.3f} of da4ml's in geometric mean, worst {ratios[1]:.3f}"


def _folded(options: argparse.Namespace) -> Found:
    from bench_folded import fit, judge

    if options.fit:
        return {"coefficients": fit()}, "coefficients of hw/folded_cost.py"
    folded = judge()
    return {"folded": folded}, f"predicted LUTs: median error {100 * folded['median_lut_error']:.1f} %"


def _images(options: argparse.Namespace) -> Found:
    from bench_images import CASES, bench

    if unknown := set(options.cases) - set(CASES):
        raise InputError(f"no network of images is called {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    values = {name: bench(name, build=options.build, flat=options.flat) for name in options.cases or CASES}
    return values, "; ".join(f"{name}: {one['latency_ms']:.4g} ms" for name, one in values.items())


def _hls(options: argparse.Namespace) -> Found:
    from bench_hls import NETWORKS, compare

    if options.only and options.only not in NETWORKS:
        raise InputError(f"no network is called {options.only}; there are {', '.join(NETWORKS)}")
    values = compare(options.only)
    return values, f"{sum('reason' not in one for one in values.values())} of {len(values)} networks measured"


def _weights(_options: argparse.Namespace) -> Found:
    from bench_weights import weights

    values = weights()
    return values, f"{len(values['weights']['rows'])} networks built"


def _cluster(_options: argparse.Namespace) -> Found:
    from bench_cluster import cluster

    values = cluster()
    rate, alone = values["records_per_second"], values["records_per_processor_second"]
    return values, f"{rate:.0f} records per second, {alone:.0f} per second of the coordinator's processor time"


def _search(options: argparse.Namespace) -> Found:
    from bench_judge import table
    from bench_search import prove

    values = prove(options)
    return values, table(values)


BENCHMARKS: dict[str, tuple[str, Callable[[argparse.Namespace], Found]]] = {
    "loop": ("the default search, uncached", _loop),
    "rtl": ("parallel networks beside da4ml, folded layers, images", _rtl),
    "folded": ("predicted and synthesized LUTs of folded layers", _folded),
    "images": ("LeNet-5 and FINN's CNV", _images),
    "hls": ("our RTL beside hls4ml's HLS and the C model", _hls),
    "weights": ("ternary weights beside those of 2 to 4 bits at equal LUTs", _weights),
    "cluster": ("records per second of a cluster's coordinator", _cluster),
    "search": ("measuring in the loop beside separate design", _search),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures what codesign is and makes.")
    what = parser.add_subparsers(dest="what", required=True)
    of = {name: what.add_parser(name, help=words) for name, (words, _) in BENCHMARKS.items()}
    for name in ("loop", "search"):
        of[name].add_argument("--workers", type=int, default=default_workers(), help="default: one per core")
    of["rtl"].add_argument("--only", default="", metavar="TEXT", help="parallel cases whose name contains this alone")
    of["folded"].add_argument("--fit", action="store_true", help="find the prediction's coefficients anew")
    of["images"].add_argument("cases", nargs="*", metavar="NAME", help="default: all")
    of["images"].add_argument("--build", action="store_true", help="synthesize and simulate as well")
    of["images"].add_argument(
        "--flat", action="store_true", help="synthesize as one netlist as well: LUTs, not layered"
    )
    of["hls"].add_argument("--only", metavar="NAME", help="one of the networks")
    proof = of["search"]
    proof.add_argument("--seconds", type=float, default=600.0, help="for each contender and seed; default: 600")
    proof.add_argument("--seeds", type=int, default=5, help="default: 5")
    proof.add_argument("--data", default="digits", metavar="NAME|PATH", help="a dataset, or an .npz; default: digits")
    proof.add_argument("--epochs", type=int, default=20, help="of each training; default: 20")
    proof.add_argument("--lut", default="10%", metavar="N%", help="the budget, a share of the part's; default: 10%%")
    proof.add_argument("--contenders", default="", metavar="NAME,NAME", help="default: all")
    for benchmark in of.values():
        benchmark.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures are written")
    return parser


def main() -> int:
    """Run the chosen benchmark and store its figures."""
    options = _parser().parse_args()
    target = options.json.absolute()
    findings, machine = examine()
    print(f"{machine.cpu}, {machine.cores} cores, {machine.memory_mib} MiB, {machine.system}")
    sys.path.append(str(Path(__file__).parent))  # -P leaves it out
    values, summary = BENCHMARKS[options.what][1](options)
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
