"""Spaces of a study: the named one, and those that users bring."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import StudyError
from codesign.loop import search
from codesign.searched_space import searched_space
from codesign.study import parse_study

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
EXAMPLE = re.search(r"<!-- funnel.py -->\n```python\n(.*?)```\n\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def study(text: str):
    return parse_study(text, "x")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that Python finds."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str, name: str = "funnel") -> None:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        monkeypatch.delitem(importlib.sys.modules, name, raising=False)

    return write


def test_the_documented_space_is_searched(module, tmp_path, behave):
    module(EXAMPLE[1])
    example = study(f'{EXAMPLE[2]}depth = [3, 3]\n[study]\nname = "mine"\n').model_copy()
    space = searched_space(example, 64, 10)
    assert space.name == "funnel"
    run = search(example, tmp_path / "runs" / "mine", workers=1, evaluation="analytic_evaluation")
    widths = {tuple(layer.units for layer in record.architecture.hidden) for record in run.records}
    assert len(run.records) == 64
    assert widths == {(16, 16, 16), (16, 8, 4), (32, 32, 32), (32, 16, 8), (64, 64, 64), (64, 32, 16)}
    assert search(example, run.folder, workers=1, evaluation="analytic_evaluation") == run


def test_what_the_study_does_not_change_is_left_to_a_users_space(module):
    module(EXAMPLE[1])
    genes = {gene.key: gene.choices for gene in searched_space(study('[search]\nspace = "funnel:funnel"'), 4, 2).genes}
    assert genes["depth"] == (1, 2, 3, 4)
    assert genes["taper"] == (1, 2, 4)


def test_the_named_space_takes_all_of_the_section():
    rng = np.random.default_rng(1)
    space = searched_space(study('[space]\nper_layer = []\nweights = ["binary"]\ndepth = [2, 3]'), 8, 2)
    for _ in range(20):
        network = space.decode(space.sample(rng))
        assert len({layer.units for layer in network.hidden}) == 1
        assert network.weights == "binary"
    assert "threshold" not in [gene.name for gene in space.genes]


OWN = 'space = "funnel:funnel"\n[space]\ngenes = '
BAD = {
    'space = "nowhere:f"': 'search.space = "nowhere:f": nowhere cannot be imported (ModuleNotFoundError: No module '
    "named 'nowhere'); is its folder in PYTHONPATH?",
    'space = "funnel:funel"': "search.space = \"funnel:funel\": funnel has no function 'funel'; did you mean funnel?",
    OWN + "{tapr = [1]}": "the space funnel has no gene 'tapr'; did you mean taper?",
    OWN + "{taper = []}": "the gene 'taper' of the space funnel has no choices: []; give it some",
    OWN + "{width = [8, 0]}": "the gene 'width_1' = 0 of the space funnel gives no network: units must be at least 1: "
    "(DenseLayer(units=0, activation='ternary'),); leave it out",
    OWN
    + "{taper = [1, 3]}": "the gene 'taper' = 3 of the space funnel is not found again in 4x1b-8t-2t-2 parallel: mend "
    "the space's describe",
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=str)
def test_a_space_that_cannot_be_made_says_why(module, text, message):
    module(EXAMPLE[1])
    with pytest.raises(StudyError) as caught:
        searched_space(study(f"[search]\n{text}"), 4, 2)
    assert str(caught.value) == message


def test_a_function_that_makes_no_space(module):
    module("def number(inputs, outputs):\n    return 3\n", "numbers_only")
    with pytest.raises(StudyError, match="gives a int; return a nas.space.Space$"):
        searched_space(study('[search]\nspace = "numbers_only:number"'), 4, 2)
