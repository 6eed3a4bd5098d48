from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from codesign.architecture import Hardware, Training
from codesign.report import plots
from codesign.report.plots_genes import genes
from nas.image_spaces import convnet


def traces(fragment):
    """The data that a fragment gives to the plotting library."""
    start = fragment.index("[", fragment.index("Plotly.newPlot("))
    return json.JSONDecoder().raw_decode(fragment[start:])[0]


def points(found):
    return [(x, y, text) for trace in found for x, y, text in zip(trace["x"], trace["y"], trace["text"], strict=True)]


@pytest.mark.parametrize(("axis", "figure", "scale"), [(plots.LUT, "lut", 1), (plots.LATENCY, "latency_cycles", 100)])
def test_every_measured_candidate_is_where_it_was_measured(searched, axis, figure, scale):
    found = traces(plots.scatter(searched, axis))
    shown = points([trace for trace in found if trace.get("text") and "ring" not in trace["name"]])
    expected = {
        record.digest[:8]: (record.measurement.value(figure) / scale, 100 * record.measurement.value("val_error"))
        for record in searched.records
        if record.measurement and "val_error" in record.measurement.figures
    }
    assert {re.search(r"<br>(\w{8}),", text).group(1): (x, y) for x, y, text in shown} == expected
    assert len(shown) == len(expected)


def test_generation_provenance_budget_and_front_are_told(searched):
    fragment = plots.scatter(searched, plots.LUT)
    found = traces(fragment)
    names = [trace["name"] for trace in found if trace.get("showlegend", True)]
    assert [name for name in names if name.startswith("generation")] == [
        f"generation {number}, synthesized" for number in (1, 2, 3)
    ]
    ring = next(trace for trace in found if trace["name"] == "ring: on the front")
    assert sorted(ring["x"]) == sorted(record.measurement.value("lut") for record in searched.front)
    shapes = [trace["marker"]["symbol"] for trace in found if trace["name"].startswith("generation")]
    assert len({shape.removesuffix("-open") for shape in shapes}) == 3  # told by shape, not by shade alone
    assert '"text":"budget 5,320"' in fragment
    assert '"text":"budget' not in plots.scatter(searched, plots.LATENCY)  # the study sets none
    best = searched.front[0]
    said = next(text for text in ring["text"] if best.digest[:8] in text)
    assert said.startswith(
        f"<b>{best.architecture.words()}</b><br>{best.digest[:8]}, generation {best.generation + 1}<br>"
    )
    assert f"{best.measurement.value('lut'):,.0f} LUT (synthesized: analytic 1)" in said
    assert "cycles (simulated: analytic 1)" in said


def test_one_over_budget_is_hollow_and_says_why(searched):
    over = next(record for record in searched.records if record.status == "ok" and record not in searched.front)
    missed = dataclasses.replace(over, status="infeasible", reason="lut: <9,000")
    records = [missed if record is over else record for record in searched.records]
    found = traces(plots.scatter(dataclasses.replace(searched, records=tuple(records)), plots.LUT))
    trace = next(
        trace for trace in found if any("over budget: lut: &lt;9,000" in text for text in trace.get("text", []))
    )
    assert trace["marker"]["symbol"].endswith("-open")
    assert not trace["showlegend"]


def test_many_generations_share_the_shapes(searched):
    late = tuple(dataclasses.replace(record, generation=7 * record.generation) for record in searched.records)
    names = [trace["name"] for trace in traces(plots.scatter(dataclasses.replace(searched, records=late), plots.LUT))]
    assert [name for name in dict.fromkeys(names) if name.startswith("generations")] == [
        "generations 1 to 3, synthesized", "generations 7 to 9, synthesized", "generations 13 to 15, synthesized",
    ]  # fmt: skip


def test_progress_of_a_run():
    (trace,) = traces(plots.progress({"shown": [0.25, 0.5]}))
    assert (trace["x"], trace["y"], trace["name"]) == ([1, 2], [0.25, 0.5], "shown")


def axes(fragment):
    ticks = json.loads(re.search(r'"ticktext":(\[.*?\])', fragment).group(1).replace("\\u003c", "<"))
    return [title.replace("\\u003e", ">") for title in ticks]


def test_genes_of_each_front_member(searched):
    fragment = genes(searched)
    found = traces(fragment)
    assert len(found) == len(searched.front)
    titles = axes(fragment)
    assert titles[:4] == ["input<br>bits", "hidden<br>layers", "units<br>layer 1", "activation<br>layer 1"]
    assert titles[-6:] == ["batch<br>norm", "mode", "folding", "error<br>%", "LUT", "latency<br>us"]
    bits = sorted(searched.study.space.input_bits)
    for trace, record in zip(found, searched.front, strict=True):
        folded = record.architecture.hardware.mode == "folded"
        assert (trace["name"], trace["line"]["dash"]) == (("folded", "dash") if folded else ("parallel", "solid"))
        assert trace["y"][0] == pytest.approx(bits.index(record.architecture.input_bits) / (len(bits) - 1), abs=0.04)
        assert record.digest[:8] in trace["text"][0]
    lut = [record.measurement.value("lut") for record in searched.front]
    heights = [trace["y"][titles.index("LUT")] for trace in found]
    assert heights == pytest.approx([(value - min(lut)) / (max(lut) - min(lut)) for value in lut])


def test_genes_of_a_users_space_are_what_the_search_tried(searched):
    """Only its module knows what it allows; the study's [space] says nothing of it."""
    other = searched.front[0].architecture
    strange = dataclasses.replace(other, input_bits=7, training=Training(threshold=1.1), hardware=Hardware("folded", 5))
    records = (
        *searched.records,
        dataclasses.replace(searched.front[0], architecture=strange, status="failed", reason="x"),
    )
    own = searched.study.search.model_copy(update={"space": "mine:mine"})
    study = searched.study.model_copy(update={"search": own})
    fragment = genes(dataclasses.replace(searched, study=study, records=records))
    tried = {record.architecture.input_bits for record in searched.records}
    assert 7 not in tried | set(searched.study.space.input_bits)
    shown = re.findall(r'"text":"([^"]*)","x":0,', fragment)
    assert shown == [str(bits) for bits in sorted(tried | {7})]
    assert "threshold" in fragment
    assert "threshold" not in genes(searched)


def test_genes_of_images_are_those_of_their_space_that_leave_a_choice(searched):
    space, rng = convnet((8, 8, 1), 10), np.random.default_rng(1)
    networks = [space.decode(space.sample(rng)) for _ in searched.records]
    records = [dataclasses.replace(one, architecture=net) for one, net in zip(searched.records, networks, strict=True)]
    study = searched.study.model_copy(update={"search": searched.study.search.model_copy(update={"space": "convnet"})})
    task = dataclasses.replace(searched.task, image=(8, 8, 1))
    run = dataclasses.replace(searched, study=study, task=task, records=tuple(records), finals={})
    fragment = genes(run)
    titles, found = axes(fragment), traces(fragment)
    assert titles[:2] == ["convolutions", "filters<br>1"]
    assert {"kernel<br>1", "pool<br>1", "activation<br>1", "head", "mode"} <= set(titles)
    assert not {"weights", "target", "pruning"} & set(titles)
    modes = {record.architecture.hardware.mode for record in run.front}
    assert modes == {"parallel", "solved"}
    for trace, record in zip(found, run.front, strict=True):
        filters = record.architecture.convolutions[0].filters
        assert trace["y"][1] == pytest.approx((4, 8, 16).index(filters) / 2, abs=0.04)
        solved = record.architecture.hardware.mode == "solved"
        assert (trace["name"], trace["line"]["dash"]) == (("solved", "dot") if solved else ("parallel", "solid"))


def test_genes_of_a_front_of_one(searched):
    one = searched.front[0]
    alone = dataclasses.replace(searched, records=(one,))
    (trace,) = traces(genes(alone))
    assert all(0 <= height <= 1 for height in trace["y"])
