"""What is advised where no candidate keeps the budgets: what helps against those that bind."""

from __future__ import annotations

import pytest

from codesign.errors import TargetError
from codesign.loop import search
from codesign.study import parse_study

TEXT = """
[search]
population = 4
generations = 1
[space]
mode = ["{mode}"]
depth = [{depth}]
width = [{width}]
[target]
clock_mhz = {clock}
[budget]
lut = {lut}
{more}
"""


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"lut": 3, "clock": 50}, "Raise budget.lut"),
        ({"more": "latency_us = 0.05", "clock": 50}, "Raise budget.latency_us or target.clock_mhz"),
        ({"more": "fps = 2e7", "mode": "folded", "clock": 50}, "Lower budget.fps or raise target.clock_mhz"),
        ({"clock": 300}, "Lower target.clock_mhz"),
        ({"more": "latency_us = 0.004", "clock": 300}, "Raise budget.latency_us, and lower target.clock_mhz"),
        ({"width": 1024, "depth": "3, 3", "clock": 50}, "Take a part with more LUT"),
    ],
)
def test_advice_follows_what_binds(tmp_path, behave, changed, advice):
    text = TEXT.format(
        **{"mode": "parallel", "width": "16, 32", "depth": "1, 2", "lut": '"100%"', "more": "", **changed}
    )
    with pytest.raises(TargetError) as caught:
        search(parse_study(text, "x"), tmp_path / "run", workers=1, evaluation="analytic_evaluation")
    assert f". {advice}, or restrict [space]; all candidates are kept, " in str(caught.value)
