"""The Python API gives what the command line gives, as plain values."""

from __future__ import annotations

import subprocess
import sys

import pytest

import codesign
from codesign import api
from codesign.errors import RunError, StudyError


def test_a_run_as_plain_values(searched) -> None:
    run = codesign.load(searched.folder)
    assert [record.digest for record in run.front] == [record.digest for record in searched.front]
    table = run.to_pandas()
    assert len(table) == len(run.records)
    assert set(table.index[table.on_front]) == {record.digest for record in run.front}
    measured = table[table.status == "ok"]
    assert (measured.lut_provenance == "synthesized").all()
    record = run.front[0]
    assert table.loc[record.digest, "lut"] == record.measurement.value("lut")
    assert table.loc[record.digest, "test_error"] == run.finals[record.digest].measurement.value("test_error")
    assert table.loc[record.digest, "network"] == record.architecture.words()


def test_studies_are_files_dicts_or_values(monkeypatch, tmp_path) -> None:
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "run_search", lambda study, folder, **_: asked.append((study.name, str(folder))))
    (tmp_path / "mine.toml").write_text('[study]\nname = "from-file"\n')
    codesign.search()
    codesign.search("mine.toml")
    codesign.search({"study": {"name": "from-dict"}, "space": {"depth": [1, 2]}})
    assert asked == [(name, f"runs/{name}") for name in ("digits-z1", "from-file", "from-dict")]
    with pytest.raises(StudyError, match='study: unknown key study.nam = "x"; did you mean name'):
        codesign.search({"study": {"nam": "x"}})


def test_runs_that_are_not_there(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError):
        codesign.load("none")


def test_importing_codesign_imports_nothing_heavy() -> None:
    program = (
        "import sys, codesign; "
        "print([name for name in ('numpy', 'tensorflow', 'hls4ml', 'pymoo', 'pydantic') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="module 'codesign' has no attribute 'meassure'"):
        _ = codesign.meassure
