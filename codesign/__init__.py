"""Codesign: finds ternary networks for FPGAs by measuring each candidate's own hardware.

``search``, ``measure``, ``prune``, ``load`` and ``convert_from_keras_model`` are the Python API: :mod:`codesign.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.api import convert_from_keras_model, load, measure, prune, search

__all__ = ["convert_from_keras_model", "load", "measure", "prune", "search"]


def __getattr__(name: str) -> Any:
    """Import the API when it is first used, so that the command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module 'codesign' has no attribute {name!r}")
    from codesign import api

    return getattr(api, name)
