from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter

from codesign.errors import RunError
from codesign.run import read_run

STUDY = '[study]\nname = "killed"\n[search]\npopulation = 10\ngenerations = 6\n'
KILLS = 10


def test_ten_kills_lose_nothing_and_change_nothing(tmp_path, start_search, behave):
    study, folder, rng = tmp_path / "study.toml", tmp_path / "run", random.Random(20)
    study.write_text(STUDY)
    with start_search(tmp_path / "whole", study) as process:
        whole = json.loads(process.communicate()[0].splitlines()[-1].removeprefix("result "))
    behave(sleep=0.03, count_in=True)
    stored: dict[str, int] = {}  # digest -> how often it had been evaluated when it was first found stored
    for number in range(KILLS):
        announced = kill_after(start_search(folder, study), rng, by_time=number % 3 == 0)
        found = stored_digests(folder)
        assert announced | set(stored) <= found
        counts = evaluations(folder)
        stored.update({digest: counts[digest] for digest in found - set(stored)})
    assert 0 < len(stored) < 60, "the kills came too late or too early to show anything"
    with start_search(folder, study) as process:
        lines = process.communicate()[0].splitlines()
    assert json.loads(lines[-1].removeprefix("result ")) == whole
    counts = evaluations(folder)
    assert {digest: counts[digest] for digest in stored} == stored, "evaluated again after it was stored"


def stored_digests(folder):
    try:
        return {record.digest for record in read_run(folder).records}
    except RunError as error:  # killed before the store was complete
        if "there yet" in str(error) or "no search yet" in str(error):
            return set()
        raise


def evaluations(folder):
    return Counter(line for path in folder.glob("evaluated-*") for line in path.read_text().split())


def kill_after(process, rng, *, by_time):
    """SIGKILL the search after a random time, or after a random number of new candidates; what it announced."""
    announced = set()
    remaining = 0 if by_time else rng.randint(0, 6)
    for line in process.stdout if not by_time else ():
        assert not line.startswith("result"), "the search ended before it could be killed"
        if line.startswith("stored"):
            announced.add(line.split()[1])
            remaining -= 1
        if remaining <= 0:
            break
    time.sleep(rng.uniform(0.0, 1.0 if by_time else 0.05))
    os.killpg(process.pid, signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    return announced | {line.split()[1] for line in rest.splitlines() if line.startswith("stored ")}
