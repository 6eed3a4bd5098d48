from __future__ import annotations

import io

from rich.console import Console

from codesign import at_work
from codesign.listener import GONE


def work(folder):
    """Two workers, one of which has left again."""
    told = at_work.AtWork(folder)
    for number in range(3):
        told.stage(number, "idle", "")
    told.stage(1, "training", "64x1b-8t-10 parallel")
    told.stage(2, GONE, "")
    told.write()
    return told


def test_a_terminal_shows_what_each_worker_does(tmp_path):
    work(tmp_path)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with at_work.Watch(console) as watch:
        watch.show(tmp_path)
    rows = [line.split() for line in console.file.getvalue().splitlines()]
    assert any(row[-2:] == ["1", "idle"] for row in rows)
    assert any(row[-4:] == ["2", "training", "64x1b-8t-10", "parallel"] for row in rows)
    assert not any("3" in row for row in rows)


def test_elsewhere_a_line_says_who_came_or_went(tmp_path, monkeypatch):
    monkeypatch.setattr(at_work, "_EVERY_SECONDS", 0.0)
    console = Console(file=io.StringIO())
    with at_work.Watch(console) as watch:
        watch.show(tmp_path)
        told = work(tmp_path)
        watch.show(tmp_path)
        told.stage(0, "training", "64x1b-8t-10 parallel")
        told.write()
        watch.show(tmp_path)
        told.stage(0, GONE, "")
        told.write()
        watch.show(tmp_path)
    assert console.file.getvalue().splitlines() == ["2 workers", "1 worker"]


def test_the_file_is_written_once_a_second_at_most_and_removed(tmp_path):
    told = work(tmp_path)
    before = (tmp_path / at_work.FILE).read_text()
    told.stage(0, "training", "64x1b-8t-10 parallel")
    told.write()
    assert (tmp_path / at_work.FILE).read_text() == before
    told.remove()
    assert not (tmp_path / at_work.FILE).exists()


def test_a_folder_that_refuses_stops_nothing(tmp_path):
    told = work(tmp_path / "missing")
    told.remove()
    assert not (tmp_path / "missing").exists()
