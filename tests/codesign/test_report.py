from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from codesign.accuracy import percent_error
from codesign.architecture import Training
from codesign.artifacts import ArtifactStore
from codesign.candidate_words import all_figures, number_words
from codesign.cli import main
from codesign.measurement import Figure, Measurement, Provenance
from codesign.report.page import page, write_report
from codesign.report.sections import provenances
from codesign.report.winner import anchor

SECTIONS = (
    "tradeoff", "front", "genes", "winners", "progress", "failures", "data", "provenance", "reproduce",
)  # fmt: skip
VOID = {"meta", "br", "rect", "line"}
SCHEDULE = {
    "layers": [
        {"name": "dense_0", "mode": "folded", "latency_cycles": 41, "interval_cycles": 32, "pe": 4, "simd": 8},
        {"name": "logits", "mode": "folded", "latency_cycles": 12, "interval_cycles": 10, "pe": 2, "simd": 16},
    ],
    "latency_cycles": 53,
    "interval_cycles": 32,
    "digest": "d" * 64,
}


class Parser(HTMLParser):
    """Holds tags to their nesting and collects ids, links and what would be loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.loads = [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.loads += [
            value for name, value in attrs if name in ("src", "srcset", "data") or (name, tag) == ("href", "link")
        ]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, self.getpos()


def parsed(html):
    parser = Parser()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def bare(html):
    """The page without scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)


def reader(html):
    """What a reader sees."""
    return unescape(re.sub(r"<[^>]+>", "\n", bare(html)))


def section(html, start, end="</details>"):
    begin = html.index(f'id="{start}"')
    return reader(html[begin : html.index(end, begin)])


@pytest.fixture
def html(searched):
    return page(searched)


@pytest.fixture
def text(html):
    return reader(html)


@pytest.fixture
def writable(searched, tmp_path, monkeypatch):
    """The run with its first front member's schedule, in a folder of its own."""
    shutil.copytree("runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    best = searched.front[0]
    digest = ArtifactStore(Path("runs/shown")).put(json.dumps(SCHEDULE).encode())
    scheduled = dataclasses.replace(best, artefacts={"design.json": digest})
    records = tuple(scheduled if record is best else record for record in searched.records)
    return dataclasses.replace(searched, records=records)


def test_the_verb_writes_the_file_and_says_where(searched, capsys):
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "runs/shown/report.html\n"
    assert Path("runs/shown/report.html").read_text(encoding="utf-8") == write_report(searched).read_text(
        encoding="utf-8"
    )


def test_it_is_well_formed_and_its_links_lead_somewhere(searched, html):
    found = parsed(html)
    assert len(found.ids) == len(set(found.ids))
    assert set(SECTIONS) <= set(found.ids)
    assert {anchor(record) for record in searched.front} <= set(found.ids)
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert html.count("<h1>") == 1


def test_it_loads_nothing_from_elsewhere(html):
    assert parsed(html).loads == []
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert "@import" not in style
    assert "url(" not in style
    assert html.count("plotly.js v") == 1  # the library is there, once


def test_every_front_member_has_its_row_with_the_test_error(searched, text):
    for record in searched.front:
        row = text[text.index(f"\n{record.digest[:8]}\n") - 60 :][:400]
        assert record.architecture.words() in row
        assert percent_error(record.measurement.value("val_error"), 288) in row
        assert "10.0 ± 1.6 %" in row  # the analytic test error on 360 samples
        assert f"\n{record.measurement.value('lut'):,.0f} ({record.measurement.value('lut') / 532:.1f} %)\n" in row
        assert f"\n{record.measurement.value('fmax'):.0f} MHz, uncalibrated\n" in row


def test_a_winner_has_its_figures_with_their_provenance(searched, html):
    for record in searched.front:
        winner = section(html, anchor(record))
        for name, figure in all_figures(record, searched.finals[record.digest]).items():
            words = ("", name, "", number_words(figure.value), "", figure.unit, "", figure.provenance.value)
            assert "\n".join(words) in winner, name
        assert f"python -m codesign show shown {record.digest[:12]}\n" in winner
        assert f"found in generation {record.generation + 1} of shown" in winner.lower()


def test_a_winner_says_what_its_weights_are(searched):
    record = next(record for record in searched.front if record.architecture.training == Training())
    binary = dataclasses.replace(record, architecture=dataclasses.replace(record.architecture, weights="binary"))
    text = bare(page(dataclasses.replace(searched, records=(binary,), finals={})))
    assert "; binary weights, with" in text
    assert "; ternary weights" not in text


def test_a_winner_s_resources_are_bars_of_the_part_and_of_the_budget(searched, html):
    record = searched.front[0]
    lut = record.measurement.value("lut")
    begin = html.index(f'id="{anchor(record)}"')
    row = re.search(r"<tr><td>[\d,]+ LUT</td>.*?</tr>", html[begin:]).group()
    assert f"{100 * lut / 53200:.1f} % of 53,200" in row
    assert f"{100 * lut / 5320:.1f} % of 5,320" in row
    widths = [float(width) for width in re.findall(r'class="used"[^>]* width="([\d.]+)"', row)]
    assert widths == pytest.approx([100 * lut / 53200, 100 * lut / 5320], abs=1e-3)
    assert re.search(r'class="limit" x1="10\.000"', row)
    flip_flops = re.search(r"<tr><td>[\d,]+ FF</td>.*?</tr>", html[begin:]).group()
    assert "no budget" in flip_flops
    assert "limit" not in flip_flops


def test_the_timeline_of_layers(writable):
    html = page(writable)
    winner = section(html, anchor(writable.front[0]))
    assert (
        "The first result leaves after 53 cycles (0.53 us at 100 MHz); a new input is taken every 32 cycles" in winner
    )
    assert "\n41\n\n32\n\nfolded\n\n4 × 8\n" in winner
    assert "\n12\n\n10\n\nfolded\n\n2 × 16\n" in winner
    assert "cycles 0 to 53" in winner
    starts = re.findall(
        r'aria-label="\w+: starts after \d+[^>]*><rect class="used" x="([\d.]+)" y="0" width="([\d.]+)"', html
    )
    drawn = [float(number) for pair in starts for number in pair]
    assert drawn == pytest.approx([0, 4100 / 53, 4100 / 53, 1200 / 53], abs=1e-3)
    assert writable.front[0].artefacts["design.json"] in winner


def test_without_a_schedule_there_is_no_timeline(html):
    assert "Timeline" not in html


def test_a_lost_schedule_is_told_and_the_rest_is_there(writable):
    shutil.rmtree("runs/shown/artifacts")
    html = page(writable)
    assert "The schedule cannot be shown: artefact runs/shown/artifacts/" in reader(html)
    assert set(SECTIONS) <= set(parsed(html).ids)


def test_the_critical_path(searched):
    best = searched.front[0]
    path = [
        {"cell": "FDRE", "name": "dense_0.sum[0]", "arrival_ns": 0.456, "fanout": 3},
        {"cell": "LUT6", "name": "$abc$<1>", "arrival_ns": 6.0, "fanout": 1},
    ]
    fmax = best.measurement.figures["fmax"]
    timed = dataclasses.replace(fmax, value=125.0, details={"path": path})
    measurement = dataclasses.replace(best.measurement, figures={**best.measurement.figures, "fmax": timed})
    records = [dataclasses.replace(best, measurement=measurement), *(r for r in searched.records if r is not best)]
    winner = section(page(dataclasses.replace(searched, records=tuple(records))), anchor(best))
    assert "Fmax 125 MHz, uncalibrated (modelled): the slowest path takes 8.00 ns." in winner
    assert re.search(r"\nFDRE\n\n0\.46\n+3\n\ndense_0\.sum\[0\]\n", winner)
    assert re.search(r"\nLUT6\n\n6\.00\n+1\n\n\$abc\$<1>\n", winner)


def test_the_counts_at_the_top_agree_with_their_words(searched, html):
    assert f"<b>{len(searched.front)}</b><span>networks on the front</span>" in html
    assert f"<b>{len(searched.records)}</b><span>candidates evaluated</span>" in html
    one = page(dataclasses.replace(searched, records=searched.front[:1]))
    assert "<b>1</b><span>network on the front</span>" in one
    assert "<b>1</b><span>candidate evaluated</span>" in one


def test_failures_have_their_reasons_and_an_example(searched, text):
    counts = searched.counts
    failed = next(record.digest[:8] for record in searched.records if record.status == "failed")
    assert (
        f"failed\n\n{counts['failed']}\n\nyosys ended with exit code 1\n\npython -m codesign show shown {failed}\n"
        in text
    )
    left = [digest for digest, final in searched.finals.items() if final.measurement is None]
    reason = "C simulation differs in 3 of 360 outputs"
    assert f"left the front\n\n{len(left)}\n\n{reason}\n\npython -m codesign show shown {left[0][:8]}\n" in text


def test_every_figure_has_its_provenance(searched, text):
    meanings = text[text.index("\nWhere the figures come from\n") :]
    for name, figure in searched.front[0].measurement.figures.items():
        assert re.search(rf"\n{name}\n.*?\n{figure.provenance.value}\n.*?\nanalytic 1\n", meanings, re.DOTALL), name


def test_what_is_simulated_and_is_not_the_rtl_says_what_it_is(searched):
    record = searched.front[0]
    simulated = {
        name: Figure(0.0, name, Provenance.SIMULATED, "a tool", "1")
        for name in ("mismatches", "toggles", "csim_mismatches")
    }
    one = dataclasses.replace(record, measurement=Measurement({**record.measurement.figures, **simulated}))
    run = dataclasses.replace(searched, records=tuple(one if other is record else other for other in searched.records))
    text = reader(provenances(run))
    for name, meaning in {
        "mismatches": "a simulation of the RTL",
        "toggles": "a simulation of the mapped netlist",
        "csim_mismatches": "hls4ml's C simulation",
    }.items():
        assert re.search(rf"\n{name}\n+{name}\n+simulated\n+a tool 1\n[^A-Z]*counted in {meaning}", text), name


def test_the_data_with_the_names_of_the_classes(searched):
    named = dataclasses.replace(searched.task, class_names=("cat", "<dog>", "owl"))
    html = page(dataclasses.replace(searched, task=named))
    text = reader(html)
    assert "\n3 classes, in the order of the network's outputs:\n" in text
    assert "<small>1</small> &lt;dog&gt;</li>" in html
    assert "\nvalidation samples\n\n288 (20 % of the training data)\n" in text
    assert "\ntest samples\n\n360, not seen by the search\n" in text


def test_it_holds_the_study(searched, text):
    assert searched.study.to_toml() in text


def test_names_are_escaped(searched):
    record = dataclasses.replace(searched.records[0], status="failed", reason="<b>&bad", measurement=None)
    html = page(dataclasses.replace(searched, records=(*searched.records[1:], record)))
    assert "&lt;b&gt;&amp;bad" in html
    assert "<b>&bad" not in html


def test_other_objectives_have_their_column(searched):
    objectives = searched.study.search.model_copy(update={"objectives": ("error", "interval", "ff")})
    study = searched.study.model_copy(update={"search": objectives})
    other = dataclasses.replace(searched, study=study, reference=(0.9, 1.0, 9e9))
    text = reader(page(other))
    assert "\nLUT\n\ninterval, us\n\nff, FF\n\nFmax (modelled)\n" in text
    best = other.front[0]
    row = text[text.index(f"\n{best.digest[:8]}\n") :][:300]
    assert f"\n{best.measurement.value('ff'):,g}\n" in row


def test_a_run_without_anything_measured(searched):
    failed = tuple(
        dataclasses.replace(record, status="failed", reason="broken", measurement=None) for record in searched.records
    )
    nothing = dataclasses.replace(searched, records=failed, finals={}, reference=None)
    html = page(nothing)
    assert "Nothing was measured." in html
    assert set(SECTIONS) <= set(parsed(html).ids)


def test_a_run_whose_search_was_ended_says_so(searched):
    assert not searched.unfinished
    assert "unfinished" not in page(searched)
    for ended, progress in (
        ({"finals": {}}, "hypervolume"),
        ({"finals": {}, "generations": (), "reference": None}, "No generation is whole yet."),
    ):
        html = page(dataclasses.replace(searched, **ended))
        whole = f"{len(ended.get('generations', searched.generations))} of {len(searched.generations)} generations"
        assert f"unfinished, with {whole} whole: searching the same study continues it" in html
        assert progress in html
        assert "with the same version of codesign, searched to its end." in html


def test_no_room_for_it(searched, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert main(["report"]) == 2
    assert capsys.readouterr().err == (
        "codesign: error: cannot write runs/shown/report.html: No space left on device; make room there, "
        "then run: python -m codesign report shown\n"
    )
