"""``bench search``: six ways to search, equal wall time for each, judged by the hardware that each has measured.

Space, training, budgets and seeds are the same for all; docs/proof.md says what each contender does and why. Their runs
are ordinary ones, in ``runs/``: one that is complete is not searched again, one that is not begins anew.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench_judge import report
from bench_trained import SAMPLED, TRAINED, beside

from codesign.architecture import Architecture, Hardware
from codesign.artifacts import ArtifactStore
from codesign.crew import Crew
from codesign.errors import InputError, nearest
from codesign.files import write_whole
from codesign.jobs import EvaluateJob, Jobs, candidate_seconds, make_handler
from codesign.judging import Judge
from codesign.kept_networks import network_in
from codesign.listener import Listener
from codesign.loop import search
from codesign.place import ROOT
from codesign.record import Record
from codesign.run import Run, open_for_search, read_run, study_constraints
from codesign.study import Study, study_of
from codesign.workers import Outcome
from hw.measure.cache import SETTING
from nas.indicators import front, ranked

LATENCY_US = 2.0
"""Of every contender's budget, beside the LUTs asked for. The hypervolume is measured from the two."""
SPACE = {"threshold": (0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5), "sparsity": (0.0, 0.3, 1.0)}
"""Beside the defaults: what decides how many weights are 0, which costs error and saves hardware."""
MEASURED, TRAINING = "bench_measured", "bench_trained"
"""Modules that evaluate candidates: with hardware, and without."""
GENERATIONS = 1000
"""More than any contender has time for."""
Sections = Mapping[str, Mapping[str, Any]]
"""Where a study differs from that of the others."""
RANDOM: Sections = {"search": {"algorithm": "random"}}
DONE = "bench.json"
"""In the folder of a contender's run once its time was over."""


class TimeIsUp(Exception):  # noqa: N818  # no fault of anyone
    """A contender's time, or that of one of its phases, is over."""


class Clock(Listener):
    """Ends a phase: to a fifth of a second, whatever is under way then. It runs from the first job on."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, float("inf")

    def stage(self, worker: int, stage: str, words: str) -> None:  # noqa: ARG002  # the listener's interface
        """Start with the first job: processes that start beforehand cost no one time."""
        if words and self._end == float("inf"):
            self._end = time.monotonic() + self._seconds

    def tick(self) -> None:
        """Look at the time."""
        if time.monotonic() >= self._end:
            raise TimeIsUp


@dataclass(frozen=True)
class Turn:
    """One contender with one seed."""

    contender: str
    seed: int
    seconds: float
    data: str
    workers: int
    epochs: int
    lut: str

    @property
    def folder(self) -> Path:
        """Of the run whose hardware is judged; earlier phases have theirs beside it."""
        data = re.sub(r"[^A-Za-z0-9]", "-", Path(self.data).stem)[:16]
        asked = f"{self.lut.removesuffix('%')}-{self.epochs}e-{self.seconds:g}s-{self.workers}w"
        return ROOT / f"proof-{data}-{asked}-{self.contender}-{self.seed}"

    def study(self, ending: str = "", sections: Sections = MappingProxyType({})) -> Study:
        """The study of the phase whose run has that ending."""
        data = {"path": str(Path(self.data).absolute())} if self.data.endswith(".npz") else {"name": self.data}
        values: dict[str, Mapping[str, Any]] = {
            "study": {"name": self.folder.name + ending, "seed": self.seed},
            "data": data,
            "budget": {"lut": self.lut, "latency_us": LATENCY_US},
        }
        given = {
            **sections,
            "search": {"generations": GENERATIONS, "epochs": self.epochs, **sections.get("search", {})},
            "space": {**SPACE, **sections.get("space", {})},
        }
        return study_of({**values, **given}, self.folder.name)

    def explore(self, study: Study, share: float, evaluation: str) -> Run:
        """Search for a share of the time; what was found."""
        folder = self.folder.with_name(study.name)
        clock = Clock(share * self.seconds)
        with suppress(TimeIsUp):
            search(study, folder, workers=self.workers, listener=clock, evaluation=evaluation)
        return read_run(folder)

    def build(self, candidates: Sequence[Architecture], share: float) -> None:
        """Make and measure the hardware of trained candidates, in their order, for a share of the time."""
        study, folder, module = self.study(), self.folder, importlib.import_module(MEASURED)
        task = module.describe(study)
        judge = Judge(study.search.objectives, study_constraints(study, task), study.target.clock_mhz)
        networks = self._bring_networks()
        within = (one for one in candidates if not judge.over(module.lower_bound(one)))
        jobs = {one.digest(): EvaluateJob(one, networks.get(one.network_digest(), {})) for one in within}
        places = {digest: place for place, digest in enumerate(jobs)}
        limit, clock = candidate_seconds(study, task), Clock(share * self.seconds)
        factory = partial(make_handler, MEASURED, study)
        with (
            open_for_search(folder, study, task) as store,
            Jobs(Crew(self.workers), factory, folder, limit, clock) as working,
        ):

            def on_outcome(outcome: Outcome) -> None:
                one, seconds = jobs[outcome.key].architecture, {"total": outcome.seconds}
                record = outcome.result or Record(one, "failed", outcome.reason, outcome.log, seconds=seconds)
                store.put(replace(judge.judged(record), index=places[outcome.key]))

            with suppress(TimeIsUp):
                working.run(jobs, on_outcome, lambda: None)

    def _bring_networks(self) -> dict[str, dict[str, str]]:
        """Put what the phase of trainings kept beside the artefacts of this run; digests by name, by network."""
        trained = read_run(beside(self.folder, TRAINED))
        there, here = ArtifactStore(trained.folder), ArtifactStore(self.folder)
        trained_in_full = (one for one in trained.stored if one.artefacts)
        networks = {one.architecture.network_digest(): network_in(one.artefacts) for one in trained_in_full}
        for digests in networks.values():
            for digest in digests.values():
                here.put(there.get(digest))
        return networks


def separate(turn: Turn, proxy: str) -> None:
    """NSGA-II on error and ``proxy`` for half of the time, then hardware of the best networks in every way it can be.

    Hardware knobs change neither objective, so that a network is searched once.
    """
    sections: Sections = {"search": {"objectives": ("error", proxy)}, "space": {"mode": ("parallel",)}}
    trained = turn.explore(turn.study(TRAINED, sections), 1 / 2, TRAINING)
    ways = ways_to_build(turn.study())
    best, others = best_first(trained)
    turn.build([*in_every_way(best, ways), *in_every_way(others, ways)], 1 / 2)


def surrogate_only(turn: Turn) -> None:
    """A third each: random samples with hardware, NSGA-II on what a model fitted to them says, hardware of the best."""
    turn.explore(turn.study(SAMPLED, RANDOM), 1 / 3, MEASURED)
    best, others = best_first(turn.explore(turn.study(TRAINED), 1 / 3, TRAINING))
    turn.build([*best, *others], 1 / 3)


def measured(turn: Turn, sections: Sections) -> None:
    """Hardware of each candidate in the loop, for all the time."""
    turn.explore(turn.study("", sections), 1.0, MEASURED)


def ours(turn: Turn) -> None:
    """Hardware in the loop of those that a surrogate chooses among all that were trained in full."""
    measured(turn, {"rungs": {"epochs": (turn.epochs,), "share": 0.25, "surrogate": True}})


CONTENDERS: Mapping[str, Callable[[Turn], None]] = {
    "params": partial(separate, proxy="parameters"),
    "bit_operations": partial(separate, proxy="bit_operations"),
    "random": partial(measured, sections=RANDOM),
    "surrogate_only": surrogate_only,
    "no_surrogate": partial(measured, sections={}),
    "ours": ours,
}


def best_first(run: Run) -> tuple[list[Architecture], list[Architecture]]:
    """The front of what a run knows, and all others within the budgets by their rank."""
    records = [record for record in run.records if record.status == "ok"]
    points = [run.objectives(record) for record in records]
    best = front(points)
    others = [place for place in ranked(points) if place not in best] if points else []
    return [records[place].architecture for place in best], [records[place].architecture for place in others]


def ways_to_build(study: Study) -> list[Hardware]:
    """All hardware that the study's space has for one network."""
    folded = [Hardware("folded", cycles) for cycles in study.space.folding]
    return [Hardware("parallel"), *folded]


def in_every_way(networks: Sequence[Architecture], ways: Sequence[Hardware]) -> list[Architecture]:
    """Every network in every way: each once before any twice, and the ways mixed, wherever time ends the work."""
    count = len(ways)
    return [
        replace(network, hardware=ways[(place + turn) % count])
        for turn in range(count)
        for place, network in enumerate(networks)
    ]


def prove(options: Namespace) -> dict[str, Any]:
    """The benchmark as the command line asks for it."""
    contenders = [name.strip() for name in options.contenders.split(",")] if options.contenders else list(CONTENDERS)
    for name in contenders:
        if name not in CONTENDERS:
            raise InputError(f"--contenders {name}: {nearest(name, CONTENDERS)}")
    for key in ("seconds", "seeds", "workers", "epochs"):
        if not getattr(options, key) > 0:
            raise InputError(f"--{key} {getattr(options, key):g} must be above 0")
    template = Turn("", 0, options.seconds, options.data, options.workers, options.epochs, options.lut)
    return run_all(contenders, options.seeds, template)


def run_all(contenders: Sequence[str], seeds: int, template: Turn) -> dict[str, Any]:
    """Let all contenders search, seed after seed, and judge; the figures of the benchmark."""
    os.environ[SETTING] = ""  # nobody finds what another has synthesized
    data: str = importlib.import_module(MEASURED).describe(template.study()).data_digest
    found: dict[str, list[list[Run]]] = {name: [] for name in contenders}
    loads: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for seed in range(1, seeds + 1):
        for name in contenders:
            turn = replace(template, contender=name, seed=seed)
            loads[name].append(_complete(turn))
            folders = (beside(turn.folder, ending) for ending in ("", SAMPLED, TRAINED))
            runs = [read_run(folder) for folder in folders if folder.is_dir()]
            if any(run.task.data_digest != data for run in runs):
                raise InputError(f"{turn.folder} is of other data than {template.data} is now; move it away")
            found[name].append(runs)
            print(f"{name}, seed {seed}: in {turn.folder}", file=sys.stderr, flush=True)
    figures = report(found, template.seconds)
    for name, values in figures["contenders"].items():
        values["load"] = loads[name]
    asked = {key: getattr(template, key) for key in ("seconds", "data", "workers", "epochs", "lut")}
    return {**figures, **asked, "seeds": seeds}


def _complete(turn: Turn) -> list[float]:
    """Search unless that was done before; the machine's load before and after."""
    done = turn.folder / DONE
    if not done.exists():
        for ending in ("", SAMPLED, TRAINED):
            shutil.rmtree(beside(turn.folder, ending), ignore_errors=True)
        before = os.getloadavg()[0]
        CONTENDERS[turn.contender](turn)
        write_whole(done, json.dumps({"load": [before, os.getloadavg()[0]]}), "run the same command again")
    load: list[float] = json.loads(done.read_text(encoding="utf-8"))["load"]
    return load
