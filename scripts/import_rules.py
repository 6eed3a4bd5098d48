"""Holds the import rules between the rooms, by reading the syntax trees; no code of theirs is run.

``quant``, ``hw``, ``boards`` and ``nas`` never import each other, and of ``codesign`` only its leaf modules;
the leaf modules import nothing of ours but leaves. So whatever passes between the rooms is one of a few plain values.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("boards", "hw", "nas", "quant")
PACKAGES = ("codesign", *ROOMS)
LEAVES = (
    *("codesign.architecture", "codesign.counting", "codesign.errors", "codesign.measurement", "codesign.target"),
    "codesign.toml_text",
)


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a module of ``package`` imports, wherever in its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__", "find_spec"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_leaf(name: str) -> bool:
    return any(name == leaf or name.startswith(f"{leaf}.") for leaf in LEAVES)


def allowed(importer: str, imported: str) -> bool:
    """Whether the module ``importer`` may import the name ``imported``; both are dotted."""
    room, other = importer.split(".")[0], imported.split(".")[0]
    if other not in PACKAGES or _is_leaf(imported):
        return True
    if _is_leaf(importer):
        return False
    return room in ("codesign", other)


def violations(root: Path) -> list[str]:
    """One line for each import below ``root`` that the rules forbid."""
    found = []
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        package = ".".join(parts[:-1])
        module = package if parts[-1] == "__init__" else ".".join(parts)
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        found += [
            f"{path.relative_to(root)}:{line}: {module} must not import {name}"
            for line, name in imports(tree, package)
            if not allowed(module, name)
        ]
    return found


def main() -> int:
    """Print the violations in this checkout; 1 if there are any."""
    found = violations(Path(__file__).resolve().parent.parent)
    print("\n".join(found) if found else "the rooms import only what they may")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
