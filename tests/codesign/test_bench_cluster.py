"""``scripts/bench cluster``: a search over a real cluster of one worker, counted."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_records_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setenv("PYTHONPATH", "")  # it is set for the workers
    monkeypatch.chdir(tmp_path)
    bench = importlib.import_module("bench_cluster")
    monkeypatch.setattr(bench, "WORKERS", 1)
    monkeypatch.setattr(bench, "STUDY", bench.STUDY.replace(f"{bench.CANDIDATES // 4}", "4"))
    found = bench.cluster()
    assert found["candidates"] == 16
    assert found["counts"]["ok"] == 16
    assert found["records_per_processor_second"] > 0
    assert found["records_per_second"] > 0
