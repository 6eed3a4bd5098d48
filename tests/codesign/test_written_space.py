"""What is written in [space] counts, whatever its value; and what earlier versions of codesign wrote there."""

from __future__ import annotations

import json
import pickle
import sqlite3
from contextlib import closing

import pytest

from codesign.errors import RunError, StudyError
from codesign.init import write_study
from codesign.loop import search
from codesign.run import read_run
from codesign.searched_space import searched_space, space_of_run
from codesign.store import FILE
from codesign.study import Study, load_study, parse_study, study_of

OWN = """
from dataclasses import replace
from nas.spaces import mlp

def space(inputs, outputs):
    return replace(mlp(inputs, outputs), name="own")
"""
EVERYTHING = """[space]
depth = [1, 3]
width = [8, 12, 16, 24, 32, 48]
input_bits = [1, 2, 3, 4]
activation_bits = ["ternary", 2, 3, 4]
batch_norm = [false, true]
mode = ["parallel", "folded"]
folding = [8, 16, 32, 64]
target = ["fastest"]
weights = ["ternary"]
threshold = [0.7]
sparsity = [0.0]
learning_rate = [0.02]
optimizer = ["adam"]
pruning = [0.0]
per_layer = ["width"]
genes = {}
"""
"""As earlier versions wrote it into study.toml of every run, and ``init`` into every study."""
IMAGE = (28, 28, 1)


def study(name: str, space: str = "") -> Study:
    return parse_study(f'[search]\nspace = "{name}"\npopulation = 4\ngenerations = 1\n{space}', "x")


def choices(asked: Study) -> dict[str, tuple[object, ...]]:
    return {gene.name: gene.choices for gene in searched_space(asked, 784, 10, IMAGE).genes}


@pytest.fixture
def own(tmp_path, monkeypatch) -> str:
    (tmp_path / "space_written.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "space_written:space"


def test_a_key_that_is_written_counts_also_where_it_is_the_default_of_mlp(own):
    assert choices(study(own))["depth"] == (1, 2, 3, 4)
    assert choices(study(own, "[space]\ndepth = [1, 3]"))["depth"] == (1, 2, 3)
    assert choices(study("densenet"))["learning_rate"] == (0.005, 0.01, 0.02)
    assert choices(study("densenet", "[space]\nlearning_rate = [0.02]"))["learning_rate"] == (0.02,)


@pytest.mark.parametrize("name", ["convnet", "space_written:space"])
def test_so_does_what_layers_have_in_common(own, name):
    assert "activation_2" in choices(study(name))
    assert "activation_2" not in choices(study(name, '[space]\nper_layer = ["width"]'))


@pytest.mark.parametrize("line", ["depth = [1, 3]", "width = [8, 12, 16, 24, 32, 48]", "width = [5]"])
def test_a_key_that_the_space_has_no_gene_for_is_refused(line):
    key = line.split(" ")[0]
    with pytest.raises(StudyError) as caught:
        searched_space(study("convnet", f"[space]\n{line}"), 784, 10, IMAGE)
    assert str(caught.value) == (
        f"space.{line} means nothing in the space convnet, which has no gene {key!r}; leave {key} out (its genes: "
        "activation, batch_norm, convolutions, filters, folding, head, head_activation, input_bits, kernel, "
        "learning_rate, mode, optimizer, pool, pruning, sparsity, target, threshold, weights)"
    )


@pytest.mark.parametrize("keys", ["[]", '["width"]', '["width", "activation_bits"]'])
def test_layers_without_anything_of_their_own_have_nothing_in_common(keys):
    with pytest.raises(StudyError) as caught:
        searched_space(study("densenet", f"[space]\nper_layer = {keys}"), 784, 10, IMAGE)
    assert str(caught.value) == (
        f"space.per_layer = {keys} means nothing in the space densenet, whose layers have neither widths nor "
        "activations of their own; leave it out"
    )


def test_a_study_file_with_all_keys_says_nothing_of_which_are_meant(tmp_path):
    path = tmp_path / "study.toml"
    write_study(path)
    text = path.read_text()
    begin, end = text.index("\n[space]"), text.index("\n[board]")
    for old, new in (('space = "mlp"', 'space = "convnet"'), (text[begin:end], text[begin:end].replace("\n# ", "\n"))):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    with pytest.raises(
        StudyError, match=r"study\.toml: \[space\] has every key, .*: activation_bits, .*, width; leave out"
    ):
        load_study(path)
    path.write_text(text.replace("\ngenes = {}", "\n# genes = {}"))
    assert "depth" in load_study(path).counting


def test_a_gene_given_twice_is_named_as_it_was_written():
    asked = study("convnet", '[space]\nactivation_bits = [2]\ngenes = {activation = ["2"]}')
    with pytest.raises(StudyError, match=r"^space\.activation_bits and space\.genes\.activation both say what"):
        searched_space(asked, 784, 10, IMAGE)


@pytest.mark.parametrize("space", ["", "[space]\ndepth = [1, 3]", '[space]\nwidth = [8]\nper_layer = ["width"]'])
@pytest.mark.parametrize("name", ["mlp", "space_written:space"])
def test_a_study_means_the_same_when_it_is_read_again(own, name, space):
    before = study(name, space)
    again = [parse_study(before.to_toml(comments=comments), "x") for comments in (False, True)]
    again += [pickle.loads(pickle.dumps(before)), study_of(before.model_dump(), "x"), before.model_copy()]
    for after in again:
        assert after == before
        assert after.digest() == before.digest()
        assert before.hinders(after) == []
        assert choices(after) == choices(before)


def test_studies_that_differ_in_what_is_written_differ(own):
    short, long = study(own), study(own, "[space]\ndepth = [1, 3]")
    assert short != long
    assert short.digest() != long.digest()
    assert short.differences(long) == ["space.depth: (not set) -> [1, 3]"]
    assert long.differences(short) == ["space.depth: [1, 3] -> (not set)"]
    assert study("mlp") == study("mlp", "[space]\ndepth = [1, 3]"), "a default of mlp is its default"
    assert study("mlp").differences(long) == [f'search.space: "mlp" -> "{own}"']
    assert study("mlp", "[space]\nwidth = [8]").differences(study("convnet")) == ['search.space: "mlp" -> "convnet"']


@pytest.mark.parametrize("name", ["mlp", "convnet", "space_written:space"])
def test_what_earlier_versions_wrote_means_what_it_meant(own, name):
    asked = study(name)
    assert study(name, EVERYTHING) == asked
    older = "\n".join(line for line in EVERYTHING.splitlines() if not line.startswith(("target", "pruning")))
    assert study(name, older) == asked
    order = EVERYTHING.replace('["ternary", 2, 3, 4]', '[4, 3, 2, "ternary"]')
    assert choices(study(name, order)) == choices(asked)
    changed = study(name, EVERYTHING.replace("[1, 2, 3, 4]", "[2, 3]").replace("{}", "{batch_norm = [true]}"))
    assert changed == study(name, "[space]\ninput_bits = [2, 3]\ngenes = {batch_norm = [true]}")
    assert space_of_run(changed, 784, 10, IMAGE).size() < space_of_run(asked, 784, 10, IMAGE).size()


def test_a_run_of_an_earlier_version_is_continued(own, tmp_path, behave):
    asked, folder = study(own), tmp_path / "digits-z1"
    run = search(asked, folder, workers=1, evaluation="analytic_evaluation")
    assert "depth" not in (folder / "study.toml").read_text()
    before = asked.to_toml().replace("[space]\n", EVERYTHING)
    assert before != asked.to_toml()
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'study'", (json.dumps(before),))
    assert read_run(folder) == run
    assert search(parse_study(before, "x"), folder, workers=1, evaluation="analytic_evaluation") == run
    assert search(asked, folder, workers=1, evaluation="analytic_evaluation") == run
    with pytest.raises(RunError, match=r"another study named 'digits-z1':\n  space\.depth: \(not set\) -> \[1, 3\]\n"):
        search(study(own, "[space]\ndepth = [1, 3]"), folder, workers=1, evaluation="analytic_evaluation")


def test_the_study_to_start_from_leaves_another_space_as_it_is(own, tmp_path):
    path = tmp_path / "study.toml"
    write_study(path)
    assert load_study(path).space.model_fields_set == set()
    text = path.read_text().replace('space = "mlp"', f'space = "{own}"')
    path.write_text(text)
    assert choices(load_study(path))["depth"] == (1, 2, 3, 4)
    path.write_text(text.replace("# depth = ", "depth = "))
    assert choices(load_study(path))["depth"] == (1, 2, 3)
