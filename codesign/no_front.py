"""Why a search ended without a front."""

from __future__ import annotations

from collections.abc import Iterable

from codesign.budget import Miss, nearest_miss
from codesign.counting import number_of
from codesign.errors import CodesignError, TargetError
from codesign.place import PROGRAM, called
from codesign.run import Run


def require_front(run: Run) -> None:
    """TargetError where nothing keeps the budgets, CodesignError where nothing could be measured."""
    if run.front:
        return
    show = f"see them with: {PROGRAM} show {called(run.folder)} --all"
    nearest = nearest_miss(run.constraints, run.records, run.study.target.clock_mhz)
    counts, every = run.counts, number_of(len(run.records), "candidate")
    unfit = [record.reason for record in run.records if record.status == "infeasible"]
    none_fits = bool(unfit) and not counts["ok"]
    if none_fits and counts["failed"] <= counts["infeasible"]:
        if nearest is None:  # not one was measured, or bounded
            raise TargetError(
                f"none of {every} fits; the first reason: {unfit[0]}. Raise the budget, or restrict [space]; all "
                f"candidates are kept, {show}"
            )
        record, missed = nearest
        raise TargetError(
            f"none of {every} keeps every budget; {run.binding} binds most often. The best one, "
            f"{record.architecture.words()}, misses by: {'; '.join(miss.words() for miss in missed)}. "
            f"{_advice(run, missed)}, or restrict [space]; all candidates are kept, {show}"
        )
    reasons = [record.reason for record in run.records if record.status == "failed"]
    reasons += [final.reason for final in run.finals.values() if final.measurement is None]
    if none_fits:
        others = f"miss a budget, most often {run.binding}" if nearest else f"do not fit; the first reason: {unfit[0]}"
        raise CodesignError(
            f"{counts['failed']} of {every} failed; the first reason: {reasons[0]}; the other "
            f"{counts['infeasible']} {others}; {show}"
        )
    why = f"the first of {number_of(len(reasons), 'reason')}: {reasons[0]}"
    raise CodesignError(f"no candidate could be measured; {why}; {show}")


def _advice(run: Run, missed: Iterable[Miss]) -> str:
    """What to change in the study so that one that misses these is within: a slower clock makes times longer."""
    limits = {miss.constraint.key: miss.constraint.limit for miss in missed}
    resources, too_fast = run.task.target.part.resources, "clock" in limits
    changes = {
        "clock": "lower target.clock_mhz",
        "latency_us": "raise budget.latency_us" if too_fast else "raise budget.latency_us or target.clock_mhz",
        "fps": "lower budget.fps" if too_fast else "lower budget.fps or raise target.clock_mhz",
    }
    for key, total in resources.items():
        changes[key] = f"raise budget.{key}" if limits.get(key, 0.0) < total else f"take a part with more {key.upper()}"
    words = ", and ".join(changes[key] for key in limits)
    return words[0].upper() + words[1:]
