"""The final stage: front members are trained again, in full and from other seeds, and measured as new hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from codesign.jobs import Job, Jobs, RetrainJob
from codesign.judging import Judge
from codesign.record import Record
from codesign.replay import require_timing
from codesign.retraining import Retraining, Retrainings
from codesign.store import Store
from codesign.workers import Outcome

PREFIX = "trained again: "


def train_again(
    front: Sequence[Record],
    retrainings: Retrainings,
    judge: Judge,
    store: Store,
    jobs: Jobs,
    meanwhile: Callable[[], None],
) -> bool:
    """Train every front member as often as it still needs, each training stored when it ends; whether any was."""
    todo = {
        f"{record.digest}:{number}": RetrainJob(record.architecture, number)
        for record in front
        for number in retrainings.missing(record.digest)
    }
    if not todo:
        return False
    require_timing(store, store.records())
    jobs.check()
    jobs.listener.retraining(len({job.architecture for job in todo.values()}), retrainings.seeds)

    def on_outcome(outcome: Outcome) -> None:
        job = todo[outcome.key]
        record, final = outcome.result or (None, None)
        if record is None:
            seconds = {"total": outcome.seconds}
            record = Record(job.architecture, "failed", outcome.reason, outcome.log, seconds=seconds)
        if record.reason:
            record = replace(record, reason=PREFIX + record.reason)
        training = Retraining(job.number, judge.judged(record, PREFIX), final)
        store.put_retraining(training)
        retrainings.add(training)

    work: dict[str, Job] = dict(todo)
    jobs.run(work, on_outcome, meanwhile)
    return True
