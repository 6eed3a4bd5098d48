"""Trained networks among the artefacts of a run: what training gives, so that it need not be done twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant.network_files import FORMAT_FILE, MODEL_FILE

if TYPE_CHECKING:
    from codesign.artifacts import ArtifactStore
    from quant.scaling import InputFormat


def keep(artefacts: ArtifactStore, model: Any, input_format: InputFormat, folder: Path) -> dict[str, str]:
    """Put a canonical network there, as the files that are then in ``folder``; its digests by name."""
    from quant import canonical

    canonical.save(model, input_format, folder)
    return {name: artefacts.put((folder / name).read_bytes()) for name in (MODEL_FILE, FORMAT_FILE)}


def network_in(artefacts: Mapping[str, str]) -> dict[str, str]:
    """Those of a candidate's artefacts that hold its network; none where it was not trained."""
    return {name: artefacts[name] for name in (MODEL_FILE, FORMAT_FILE) if name in artefacts}


def load(artefacts: ArtifactStore, digests: Mapping[str, str], folder: Path) -> tuple[Any, InputFormat]:
    """The network that was kept, bit for bit, with its input format, by way of ``folder``.

    RunError where an artefact is gone or damaged.
    """
    from quant import canonical

    folder.mkdir(parents=True, exist_ok=True)
    for name in (MODEL_FILE, FORMAT_FILE):
        (folder / name).write_bytes(artefacts.get(digests[name]))
    return canonical.load(folder)
