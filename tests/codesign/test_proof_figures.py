"""Every figure of docs/proof.md's tables and comparisons that a committed JSON file holds is what the file says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "proof.md").read_text(encoding="utf-8")
WORDS = re.sub(r"\s+", " ", PAGE)


def proof(name):
    return json.loads((DOCS / "proof" / name).read_text(encoding="utf-8"))


def listed(values, form="{}"):
    return ", ".join(form.format(value) for value in values)


def test_what_came_out_is_what_the_files_say():
    both, first = proof("search.json"), proof("search-first-seed.json")
    ratios = both["hypervolume_ratios"]["ours"]
    for name, one in (first["contenders"] | both["contenders"]).items():
        if name in ratios:
            low, high = ratios[name]["interval"]
            over = f" {ratios[name]['median']:.3f} ({low:.3f} to {high:.3f}) |"
        else:
            over = f" {first['hypervolume_ratio'][name]:.3f} (one seed) |" if name != "ours" else " |"
        volumes, decided = listed(one["hypervolume"], "{:.3f}"), listed(one["decided"])
        assert f"| `{name}` | {volumes} | {decided} | {listed(one['synthesized'])} |{over}\n" in PAGE


def test_five_seeds_in_little_time_are_told_with_their_figures():
    found = proof("search-five-seeds.json")
    ratios = found["hypervolume_ratios"]["ours"]
    for name, one in found["contenders"].items():
        low, high = ratios[name]["interval"] if name in ratios else (0.0, 0.0)
        over = f" {ratios[name]['median']:.3f} ({low:.3f} to {high:.3f}) |" if name in ratios else " |"
        counts = [f"{min(one[what])} to {max(one[what])}" for what in ("decided", "synthesized")]
        assert f"| `{name}` | {listed(one['hypervolume'], '{:.3f}')} | {' | '.join(counts)} |{over}\n" in PAGE


def test_mnist_is_told_with_its_figures():
    found = proof("search-mnist.json")
    ratios = found["hypervolume_ratios"]["ours"]
    ours = found["contenders"]["ours"]["hypervolume"]
    for name, one in found["contenders"].items():
        each = [f"{mine / its:.2f}" if its else "-" for mine, its in zip(ours, one["hypervolume"], strict=True)]
        over = ""
        if name in ratios:
            middle, spread = ratios[name]["median"], ratios[name]["interval"]
            over = f" {', '.join(each)}" + (f": {middle:.2f} ({spread[0]:.2f} to {spread[1]:.2f})" if middle else "")
        cells = [listed(one["hypervolume"], "{:.3f}"), listed(one["decided"]), listed(one["synthesized"])]
        assert f"| `{name}` | {' | '.join(cells)} |{over} |\n" in PAGE


def test_the_earlier_run_is_told_with_its_figures():
    for name, one in proof("search-default-space.json")["contenders"].items():
        assert f"`{name}` {listed(one['hypervolume'], '{:.3f}')}" in WORDS


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ("parameters", "parameters"),
        ("bit operations", "bit_operations"),
        ("structural estimate (lower bound before training)", "structural_estimate"),
        ("surrogate (fitted to four fifths, asked of the rest)", "surrogate"),
    ],
)
def test_correlations_are_those_of_the_default_space(row, key):
    found = proof("search-default-space.json")["correlation"]
    cells = [found[mode][figure][key] for figure in ("lut", "latency_cycles") for mode in ("all", "parallel", "folded")]
    assert f"| {row} | {' | '.join('-' if cell is None else f'{cell:.2f}' for cell in cells)} |\n" in PAGE
    counts = [found[mode]["candidates"] for mode in ("all", "parallel", "folded")]
    assert f"The {counts[0]} candidates" in WORDS
    assert f"parallel ({counts[1]}) | folded ({counts[2]})" in WORDS


def test_correlations_with_zeros_searched():
    found = proof("search.json")["correlation"]
    lut = [found[mode]["lut"]["bit_operations"] for mode in ("all", "parallel", "folded")]
    said = f"(the {found['all']['candidates']} candidates of the table before, two seeds)"
    assert (
        f"{said} they are less of one: {lut[0]:.2f} of all, {lut[1]:.2f} of the parallel and {lut[2]:.2f} of" in WORDS
    )
    spaces = (found, proof("search-default-space.json")["correlation"])
    least = min(
        mode[figure]["surrogate"] for one in spaces for mode in one.values() for figure in ("lut", "latency_cycles")
    )
    assert f"in both spaces ({least:.2f} at least)" in WORDS


def test_errors_at_equal_luts_are_those_of_the_file():
    rows = proof("weights.json")["weights"]["rows"]
    section = WORDS[WORDS.index("**At equal LUTs**") : WORDS.index("The test set of the digits has 359 images, so")]
    known = {f"{row['lut']:,.0f}": f"{100 * row['test_error']:.1f} %" for row in rows}
    luts = re.findall(r"\d{1,2},\d{3}", section)
    assert len(luts) == 17
    assert set(luts) <= known.keys()
    pairs = re.findall(r"(\d{1,2},\d{3})(?: LUT)?(?: for|:| \()? (\d\.\d %)", section)
    assert len(pairs) == 11
    assert [pair for pair in pairs if known[pair[0]] != pair[1]] == []
    ours = sorted((row["lut"], row["test_error"]) for row in rows if row["by"] == "codesign")
    others = [row for row in rows if row["bits"] != "ternary" and ours[1][0] <= row["lut"] <= ours[-1][0]]
    assert others
    for row in others:
        assert min(error for lut, error in ours if lut <= row["lut"]) < row["test_error"]
