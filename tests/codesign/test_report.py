from __future__ import annotations

import dataclasses
import re
from html import unescape
from pathlib import Path

import pytest

from codesign.cli import main
from codesign.report import page, write_report


@pytest.fixture
def text(searched):
    """The report without scripts and styles, as a reader sees it."""
    html = re.sub(r"<(script|style)\b.*?</\1>", "", page(searched), flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "\n", html))


def test_the_verb_writes_the_file_and_says_where(searched, capsys):
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "runs/shown/report.html\n"
    assert Path("runs/shown/report.html").read_text(encoding="utf-8") == write_report(searched).read_text(
        encoding="utf-8"
    )


def test_it_loads_nothing_from_elsewhere(searched):
    html = page(searched)
    assert not re.search(
        r"<(script|img|iframe)[^>]+src=|<link\b|@import", re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    )
    assert not re.search(r"<script[^>]+src=", html)


def test_every_front_member_has_its_row_with_the_test_error(searched, text):
    for record in searched.front:
        row = text[text.index(f"\n{record.digest[:8]}\n") :][:400]
        assert record.architecture.words() in row
        assert "10.0 ± 1.6 %" in row  # the analytic test error on 360 samples


def test_failures_have_their_reasons(searched, text):
    counts = searched.counts
    assert f"failed\n\n{counts['failed']}\n\nyosys ended with exit code 1" in text
    left = sum(final.measurement is None for final in searched.finals.values())
    assert f"left the front\n\n{left}\n\nC simulation differs in 3 of 360 outputs" in text


def test_every_figure_has_its_provenance(searched, text):
    for name, figure in searched.front[0].measurement.figures.items():
        assert re.search(rf"\n{name}\n.*?\n{figure.provenance.value}\n.*?\nanalytic 1\n", text, re.DOTALL), name


def test_it_holds_the_study(searched, text):
    assert searched.study.to_toml() in text


def test_names_are_escaped(searched):
    record = dataclasses.replace(searched.records[0], status="failed", reason="<b>&bad", measurement=None)
    html = page(dataclasses.replace(searched, records=(*searched.records[1:], record)))
    assert "&lt;b&gt;&amp;bad" in html
    assert "<b>&bad" not in html


def test_a_run_without_anything_measured(searched):
    failed = tuple(
        dataclasses.replace(record, status="failed", reason="broken", measurement=None) for record in searched.records
    )
    bare = dataclasses.replace(searched, records=failed, finals={}, generations=(), reference=None)
    assert "Nothing was measured." in page(bare)


def test_no_room_for_it(searched, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert main(["report"]) == 2
    assert capsys.readouterr().err == (
        "codesign: error: cannot write runs/shown/report.html: No space left on device; make room there, "
        "then: codesign report shown\n"
    )
