"""Spaces of a study: the named one, and those that users bring."""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import RunError, StorageError, StudyError
from codesign.loop import search
from codesign.run import read_run
from codesign.searched_space import searched_space, space_of_run
from codesign.study import load_study, parse_study
from nas.operators import every

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "extending.md"
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


def test_poolings_that_can_leave_nothing_are_refused_before_the_search():
    text = '[search]\nspace = "convnet"\n[space]\ngenes = '
    refused = r"^the choices of 'pool' in the space convnet can leave nothing of the image \(pool must be 1 to 1, the "
    with pytest.raises(StudyError, match=refused):
        searched_space(study(text + "{pool = [2, 3]}"), 784, 10, (28, 28, 1))
    layers = "{pool = [1, 2, 3], pool_3 = [3], pool_4 = [1]}"
    assert searched_space(study(text + layers), 784, 10, (28, 28, 1)).name == "convnet"


def test_two_genomes_of_one_network_are_one_candidate(module, tmp_path, behave):
    """Of width 2 both tapers leave one unit, which no choice alone shows."""
    module(EXAMPLE[1])
    example = study(
        '[study]\nname = "twice"\n[search]\nspace = "funnel:funnel"\npopulation = 4\ngenerations = 1\n'
        '[space]\ndepth = [2, 2]\nwidth = [16, 2]\ninput_bits = [1]\nactivation_bits = ["ternary"]\n'
        'mode = ["parallel"]\nbatch_norm = [true]\ngenes = {taper = [2, 4]}\n[budget]\nlut = "100%"\n'
        "[rungs]\nepochs = [2]\nshare = 0.5"
    )
    space = searched_space(example, 64, 10)
    assert space.size() == 4
    assert len({space.decode(genome) for genome in every(space)}) == 3
    run = search(example, tmp_path / "runs" / "twice", workers=1, evaluation="analytic_evaluation")
    assert run.generations[0]["rungs"] == [{"epochs": 2, "entered": 3, "passed": 2, "others": 0}]
    assert [record.index for record in run.records] == [0, 1, 2]
    assert search(example, run.folder, workers=1, evaluation="analytic_evaluation") == run


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("small", "28x28x1x2b-8c3q3/2-16c3q3/2-10 bn interval 4000"),
        ("accurate", "28x28x1x3b-8c5q4/2-24c5q4/2-10 bn interval 4000"),
        ("parallel", "784x1b-80q3-80q3-10 bn parallel threshold 1.1 sparsity 0.5"),
    ],
)
def test_the_examples_of_mnist_have_one_network_each(name, network):
    space = searched_space(load_study(EXAMPLES / f"mnist-{name}.toml"), 784, 10, (28, 28, 1))
    assert space.size() == 1
    assert space.decode([0] * len(space.genes)).words() == network


def test_the_module_is_found_beside_the_study(tmp_path, monkeypatch):
    """Nowhere else: scripts/codesign takes PYTHONPATH away, so that nothing there stands before what is ours."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir("/")
    (tmp_path / "space_beside.py").write_text(EXAMPLE[1])
    (tmp_path / "study.toml").write_text('[search]\nspace = "space_beside:funnel"\n')
    assert searched_space(load_study(tmp_path / "study.toml"), 4, 2).name == "funnel"
    before = list(sys.path)
    load_study(tmp_path / "study.toml")
    assert sys.path == before
    assert before[-1] == str(tmp_path)


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
WIDTHS = "or take another, such as 8, 12, 16, 24, 32, 48"
TAPERS = "or take another, such as 1, 2, 4"
MINUS = f"-8 in space.genes.width_1 gives no network: units must be at least 1, not -8; leave it out, {WIDTHS}"
TAPER = f"3 in space.genes.taper is not found again in 4x1b-8t-2t-2 parallel; mend the space's describe, {TAPERS}"
BAD = {
    'space = "nowhere:f"': 'search.space = "nowhere:f": nowhere cannot be imported (ModuleNotFoundError: No module '
    "named 'nowhere'); is it beside the study?",
    'space = "funnel:funel"': "search.space = \"funnel:funel\": funnel has no function 'funel'; did you mean funnel?",
    'space = "funnel:mlp_"': "search.space = \"funnel:mlp_\": funnel has no function 'mlp_'; known: factor, funnel, "
    "narrow",
    OWN + "{tapr = [1]}": "the space funnel has no gene 'tapr'; did you mean taper or target? known: activation, "
    "batch_norm, depth, folding, input_bits, learning_rate, mode, optimizer, pruning, sparsity, taper, target, "
    "threshold, weights, width",
    OWN + "{taper = []}": "the gene 'taper' of the space funnel has no choices: []; give it some",
    OWN + "{width = [8, 0]}": "0 in space.genes.width gives no network: units must be at least 1, not 0; "
    f"leave it out, {WIDTHS}",
    OWN
    + "{width = [8, 16, 8]}": "the gene 'width' of the space funnel has the choice 8 twice: [8, 16, 8]; leave one out",
    OWN + "{width_1 = [-8]}": MINUS,
    OWN + "{taper = [0]}": "0 in space.genes.taper gives no network: the code of the space ends with "
    f"ZeroDivisionError: integer division or modulo by zero; leave it out, {TAPERS}",
    OWN + '{taper = [1, "x"]}': '"x" in space.genes.taper gives no network: the code of the space ends with TypeError: '
    f"unsupported operand type(s) for ** or pow(): 'str' and 'int'; leave it out, {TAPERS}",
    OWN + "{width_1 = [-8], taper = [0]}": MINUS,
    OWN + "{taper = [1, 3]}": TAPER,
    OWN + "{taper = [3]}": TAPER,
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=str)
def test_a_space_that_cannot_be_made_says_why(module, text, message):
    module(EXAMPLE[1])
    with pytest.raises(StudyError) as caught:
        searched_space(study(f"[search]\n{text}"), 4, 2)
    assert str(caught.value) == message


RATIO = """
from functools import partial
from codesign.architecture import Architecture, DenseLayer, Hardware
from nas.space import Gene, Space

def space(inputs, outputs):
    genes = (Gene("units", "units", (9, 8), True), Gene("less", "less", (0, 8), True))
    return Space("ratio", genes, partial(build, inputs, outputs), describe)

def build(inputs, outputs, values):
    bits = 1 // (values["units"] - values["less"]) and 2 or 1
    return Architecture(inputs, outputs, bits, (DenseLayer(values["units"], "2"),), False, Hardware("parallel"))

def describe(network):
    return {"units": network.hidden[0].units, "less": 8 * (network.input_bits - 1)}
"""
TWICE = """
from nas.space import Gene, Space

def space(inputs, outputs):
    return Space("x", (Gene("a", "a", (1, 1), True),), dict, dict)
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def space(inputs):\n    pass\n",
            "TypeError: space() takes 1 positional argument but 2 were given",
        ),
        (TWICE, "AssertionError: a has the same choice twice"),
    ],
    ids=["arguments", "twice"],
)
def test_a_function_that_fails(module, text, message):
    module(text, "failing")
    with pytest.raises(StudyError) as caught:
        searched_space(study('[search]\nspace = "failing:space"'), 4, 2)
    assert str(caught.value) == f'search.space = "failing:space": space ends with {message}; mend it'


LESS = "8 in space.genes.less gives no network: {}; leave it out, or take another, such as 0"


@pytest.mark.parametrize(
    ("less", "genes", "blamed"),
    [
        ("(0, 8)", "{less = [8]}", LESS),
        ("(0, 8)", "{units = [8], less = [8]}", LESS),
        ("(8,)", "{}", "the gene 'units' = 8 of the space ratio gives no network: {}; leave it out"),
        ("(9,)", "{units = [9]}", "the space ratio with units = 9, less = 9 gives no network: {}; mend the space"),
    ],
    ids=["given", "one of two", "its own", "the space itself"],
)
def test_choices_with_which_the_users_code_fails(module, less, genes, blamed):
    module(RATIO.replace("(0, 8)", less).replace("(9, 8)", "(9,)" if less == "(9,)" else "(9, 8)"), "ratio")
    with pytest.raises(StudyError) as caught:
        searched_space(study(f'[search]\nspace = "ratio:space"\n[space]\ngenes = {genes}'), 4, 2)
    failed = "the code of the space ends with ZeroDivisionError: integer division or modulo by zero"
    assert str(caught.value) == blamed.format(failed)


@pytest.mark.parametrize(
    ("name", "genes", "fault", "helping"),
    [
        ("convnet", "{kernel = [99]}", "kernel must be among 1, 3, 5, not 99", "3, 5"),
        ("convnet", "{kernel_2 = [true]}", "kernel must be a whole number, not true", "3, 5"),
        ("convnet", "{head = [-1]}", "units must be at least 1, not -1", "0, 16, 32"),
        ("convnet", "{pool = [4]}", "pool must be 1 to 1, the image's extent in convolution 3, not 4", "1"),
        (
            *("densenet", '{activation = ["swish"]}'),
            *('activation must be among "ternary", "2", "3", "4", not "swish"', '"ternary", "2", "3", "4"'),
        ),
        ("mlp", "{depth = [9]}", "it needs 'width_1', which no gene gives it", "1, 2, 3, 4"),
    ],
)
def test_the_gene_that_was_given_is_the_one_that_is_named(name, genes, fault, helping):
    """As it was written, and the only choice of a gene, too: the usual ones tell whose fault it is."""
    key, choice = re.fullmatch(r"{(\w+) = \[(.*)\]}", genes).groups()
    with pytest.raises(StudyError) as caught:
        searched_space(study(f'[search]\nspace = "{name}"\n[space]\ngenes = {genes}'), 784, 10, (28, 28, 1))
    assert str(caught.value) == (
        f"{choice} in space.genes.{key} gives no network: {fault}; leave it out, or take another, such as {helping}"
    )


@pytest.mark.parametrize(
    ("text", "given", "wanted"),
    [
        ('target = ["interval 20"]', "space.target", 'mode = "solved"'),
        ('folding = [8]\nmode = ["parallel"]', "space.folding", 'mode = "folded"'),
        ('threshold = [1.1]\nweights = ["binary"]', "space.threshold", 'weights = "ternary"'),
        ('sparsity = [0.5]\ngenes = {weights = ["binary"]}', "space.sparsity", 'weights = "ternary"'),
        ('genes = {target = ["fastest"]}', "space.genes.target", 'mode = "solved"'),
        ("depth = [1, 2]\ngenes = {width_3 = [8]}", "space.genes.width_3", "depth = 3 or 4"),
        (
            'genes = {head = [0], head_activation = ["ternary"]}\n[search]\nspace = "convnet"',
            *("space.genes.head_activation", "head != 0"),
        ),
    ],
)
def test_choices_that_no_network_has_are_refused(text, given, wanted):
    key = given.rpartition(".")[2]
    values = re.search(rf"\b{key} = (\[.*?\])", text)[1]
    with pytest.raises(StudyError) as caught:
        searched_space(study(f"[space]\n{text}"), 4, 2, (8, 8, 1))
    said = f"{given} = {values} means nothing without {wanted}; allow that as well, or leave {key} out"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mlp", 'target = ["interval 20"]\nmode = ["parallel", "solved"]'),
        ("mlp", 'target = ["interval 20"]\ngenes = {mode = ["solved"]}'),
        ("mlp", 'threshold = [1.1]\nweights = ["binary", "ternary"]'),
        ("convnet", 'target = ["interval 4000"]'),
    ],
)
def test_choices_that_some_network_has_are_taken(name, text):
    space = searched_space(study(f'[search]\nspace = "{name}"\n[space]\n{text}'), 784, 10, (28, 28, 1))
    assert {"target", "threshold"} & {gene.name for gene in space.genes}


def test_a_run_of_before_keeps_its_space():
    """Only a new search is refused; its report still needs the space."""
    before = study('[search]\nspace = "convnet"\n[space]\nmode = ["parallel"]\ntarget = ["interval 20"]')
    assert "target" not in {gene.name for gene in space_of_run(before, 784, 10, (28, 28, 1)).genes}


def test_a_combination_that_gives_no_network_says_which(module, tmp_path, behave):
    """Every choice gives one beside the first of all others, which is all that is tried before the search."""
    module(RATIO, "ratio")
    text = '[search]\nspace = "ratio:space"\n[study]\nname = "mine"\n'
    with pytest.raises(StudyError) as caught:
        search(study(text), tmp_path / "mine", workers=1, evaluation="analytic_evaluation")
    assert str(caught.value) == (
        'search.space = "ratio:space" gives no network for units = 8, less = 8 (ZeroDivisionError: integer division '
        "or modulo by zero); let every combination give one: mend its build, or give a gene a condition (when)"
    )


def test_a_space_that_cannot_be_made_leaves_no_run_behind(module, tmp_path):
    """Otherwise the mended study would be another one than the run's."""
    with pytest.raises(StudyError, match="nowhere cannot be imported"):
        search(study('[search]\nspace = "nowhere:f"'), tmp_path / "r", workers=1, evaluation="analytic_evaluation")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("full", [0.0, 0.04], ids=["ended", "broken off"])
def test_a_search_does_not_continue_in_a_space_that_was_changed(module, tmp_path, behave, full):
    small = study('[study]\nname = "mine"\n[search]\nspace = "funnel:funnel"\npopulation = 12\ngenerations = 2\n')
    module(EXAMPLE[1])
    behave(disk_full=full)
    with pytest.raises(StorageError) if full else nullcontext():
        search(small, tmp_path / "mine", workers=1, evaluation="analytic_evaluation")
    behave()
    before = read_run(tmp_path / "mine").records
    assert before
    made = "mlp(inputs, outputs)"
    assert made in EXAMPLE[1]
    module(EXAMPLE[1].replace(made, f'{made}.with_choices({{"depth": (4, 3, 2, 1)}})'))
    said = "in generation 1, which the same study would not ask for now: the space 'funnel:funnel' is no longer what"
    with pytest.raises(RunError, match=said):
        search(small, tmp_path / "mine", workers=1, evaluation="analytic_evaluation")
    assert read_run(tmp_path / "mine").records == before


def test_a_function_that_makes_no_space(module):
    module("def number(inputs, outputs):\n    return 3\n", "numbers_only")
    with pytest.raises(StudyError, match="gives a int; return a nas.space.Space$"):
        searched_space(study('[search]\nspace = "numbers_only:number"'), 4, 2)


@pytest.mark.parametrize(
    ("genes", "blamed"),
    [
        (
            "{width = [8.5]}",
            "8.5 in space.genes.width gives no network: units must be a whole number, not 8.5; leave",
        ),
        (
            "{batch_norm = [1]}",
            "1 in space.genes.batch_norm gives no network: batch_norm must be true or false, not 1; ",
        ),
        (
            '{target = [5], mode = ["solved"]}',
            "5 in space.genes.target gives no network: target must be text, not 5; ",
        ),
        (
            '{threshold = ["x"]}',
            '"x" in space.genes.threshold gives no network: threshold must be a number, not "x"; ',
        ),
    ],
)
def test_choices_of_another_kind_are_refused(genes, blamed):
    """8.5 units were built as 8, and a batch norm of 1 was another network than one of true."""
    with pytest.raises(StudyError, match=f"^{re.escape(blamed)}"):
        searched_space(study(f"[space]\ngenes = {genes}"), 64, 10)


def test_a_whole_number_is_a_number_and_the_same_network():
    found = []
    for text in ("1", "1.0"):
        space = searched_space(study(f"[space]\ngenes = {{threshold = [{text}]}}"), 64, 10)
        found.append(space.decode(space.sample(np.random.default_rng(1))).network_digest())
    assert found[0] == found[1]


def test_one_gene_given_twice_is_refused():
    """One choice for a layer beside those of all is no contradiction."""
    with pytest.raises(StudyError, match=r"^space\.width and space\.genes\.width both say what that gene may be"):
        searched_space(study("[space]\nwidth = [8]\ngenes = {width = [16]}"), 64, 10)
    assert searched_space(study("[space]\nwidth = [8]\ngenes = {width_1 = [16]}"), 64, 10).size() > 1
