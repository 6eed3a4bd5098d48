from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("import_rules", ROOT / "scripts" / "import_rules.py")
assert SPEC is not None
import_rules = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(import_rules)


def test_this_checkout_keeps_the_rules():
    assert import_rules.violations(ROOT) == []


@pytest.mark.parametrize(
    ("module", "code", "name"),
    [
        ("quant/train.py", "import hw.graph", "hw.graph"),
        ("hw/emit/top.py", "from quant import tf", "quant.tf"),
        ("hw/graph.py", "def f():\n    from nas.space import Space", "nas.space.Space"),
        ("boards/catalogue.py", "from codesign.study import Study", "codesign.study.Study"),
        ("nas/space.py", "from codesign import run", "codesign.run"),
        ("nas/space.py", "import codesign", "codesign"),
        ("nas/space.py", 'import importlib\nimportlib.import_module("boards.catalogue")', "boards.catalogue"),
        ("codesign/errors.py", "from codesign.study import Study", "codesign.study.Study"),
        ("codesign/errors.py", "from .study import Study", "codesign.study.Study"),
        ("codesign/target.py", "import nas", "nas"),
        ("hw/__init__.py", "from quant import tf", "quant.tf"),
    ],
)
def test_planted_violation_is_found(tmp_path, module, code, name):
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(code + "\n")
    found = import_rules.violations(tmp_path)
    line = code.count("\n") + 1
    dotted = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert found == [f"{module}:{line}: {dotted} must not import {name}"]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("hw/emit/top.py", "from hw.graph import Graph\nfrom ..schedule import plan\nimport numpy"),
        ("nas/space.py", "from codesign.architecture import Architecture\nfrom codesign import errors"),
        ("codesign/evaluate.py", "import quant, hw, nas, boards\nfrom codesign.run import Run"),
        ("codesign/target.py", "from codesign.errors import TargetError"),
    ],
)
def test_allowed_imports(tmp_path, module, code):
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(code + "\n")
    assert import_rules.violations(tmp_path) == []
