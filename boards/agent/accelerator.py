"""The accelerator for a notebook on the board itself; the same code as behind the agent."""

from __future__ import annotations

import importlib
import io
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .archive import GOLDEN_INPUTS, GOLDEN_OUTPUTS
from .device import Device
from .errors import AgentError
from .fabric import Fabric
from .fabric_pynq import PynqFabric, require_pynq
from .store import FOLDER, Store
from .unpack import Contents, unpack


class Accelerator:
    """The network of a bundle, on this board: loaded, and held against the bundle's golden vectors, or AgentError.

    It holds the board until :meth:`close`, the end of a ``with``, until nothing refers to it any more, or until the
    process makes another one: a cell that is run again works.
    """

    _latest: ClassVar[weakref.ReferenceType[Accelerator] | None] = None

    def __init__(self, bundle: str | Path, *, fabric: Fabric | None = None, folder: str | Path = FOLDER) -> None:
        try:
            contents = unpack(Path(bundle).read_bytes())
        except OSError as error:
            raise AgentError("bundle", f"cannot read {bundle}: {error.strerror}") from None
        earlier = Accelerator._latest() if Accelerator._latest is not None else None
        if earlier is not None:
            earlier.close()
        self._contents = contents
        if fabric is None:
            require_pynq()  # elsewhere than on a board nothing is to be left behind
            fabric = PynqFabric()
        store = Store(Path(folder))
        self._let_go = weakref.finalize(self, _let_go, fabric, store)
        try:
            store.lease()
            # of the bundle: beside this file there, and nowhere else
            formats = importlib.import_module(".host_format", __package__)
            self._format = formats.HostFormat.from_json(contents.manifest["host_format"])
            self._device = Device.load(fabric, contents, store.overlay(contents.bit, contents.hwh))
            self._check_golden()
        except BaseException:
            self.close()
            raise
        Accelerator._latest = weakref.ref(self)

    @property
    def class_names(self) -> list[str]:
        """In the order of the outputs."""
        return list(self._contents.manifest["class_names"])

    def logits(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Real outputs (n, classes) of real features (n, features), scaled as the network was trained on.

        AgentError where the hardware gives classes alone.
        """
        if self._contents.manifest.get("argmax"):
            raise AgentError("request", "this accelerator gives classes alone (an argmax in hardware); use predict")
        return self._outputs(x)

    def _outputs(self, x: NDArray[Any]) -> NDArray[np.float64]:
        described = self._contents.manifest["input_format"]
        gain, offset = np.asarray(described["gain"], np.float64), np.asarray(described["offset"], np.float64)
        with np.errstate(over="ignore"):  # infinite is far outside the range too
            scaled = np.rint((np.asarray(x, np.float64) - offset) * gain)
        if np.isnan(scaled).any():
            raise ValueError(f"{int(np.isnan(scaled).sum())} input values are NaN")
        kind = self._format.input
        outputs: NDArray[np.float64] = self._format.to_real(
            self._run(np.clip(scaled, kind.low, kind.high).astype(np.int64))
        )
        return outputs

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Class numbers (n,) of real features (n, features), or the values (n, outputs) that a regression predicts."""
        if self._contents.manifest.get("argmax"):
            return np.asarray(self._outputs(x)[:, 0], np.int64)
        meaning, logits = self._contents.manifest.get("output_format"), self.logits(x)
        if meaning is None:
            return np.asarray(logits.argmax(axis=1), np.int64)
        return np.asarray(meaning["offset"]) + np.asarray(meaning["gain"]) * logits

    def close(self) -> None:
        """Free the buffers and let go of the board; the overlay stays on it."""
        self._let_go()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, integers: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self._let_go.alive:
            raise AgentError("request", "this accelerator was closed, or another one was made; make it again")
        found: NDArray[np.int64] = self._format.decode(self._device.run(self._format.encode(integers)))
        return found

    def _check_golden(self) -> None:
        x, y = (_array(self._contents, name) for name in (GOLDEN_INPUTS, GOLDEN_OUTPUTS))
        wrong = int((self._run(x) != y).any(axis=1).sum())
        if wrong:
            raise AgentError(
                "mismatch",
                f"{wrong} of {len(x)} golden vectors give other outputs on this board; it is not to be trusted",
            )


def _let_go(fabric: Fabric, store: Store) -> None:
    fabric.close()
    store.close()


def _array(contents: Contents, name: str) -> NDArray[np.int64]:
    try:
        return np.asarray(np.load(io.BytesIO(contents.files[name]), allow_pickle=False), np.int64)
    except (KeyError, ValueError, EOFError) as error:
        raise AgentError("bundle", f"the bundle has no usable {name}: {error}; build it again") from None
