"""How far to trust the Fmax of a timing model."""

from __future__ import annotations

from codesign.architecture import Mode
from codesign.measurement import Figure, Provenance


def model_error(fmax: Figure, mode: Mode) -> float | None:
    """Median relative error of a modelled Fmax; None where nobody knows it, and of any other.

    The timing model was fitted to parallel designs (adder graphs) of a range of sizes, and says nothing of its error
    on folded ones, on others' sizes, or on a family that it was not fitted to.
    """
    details = fmax.details
    if mode != "parallel" or fmax.provenance is not Provenance.MODELLED:
        return None
    if not (details.get("calibrated") and details.get("within_fitted_range")):
        return None
    return float(details["error"]["median"])


def fmax_caveat(fmax: Figure, mode: Mode) -> str:
    """How far to trust an Fmax: ``± 4.0 %``, ``outside the fitted range`` or ``uncalibrated``; empty if routed."""
    if fmax.provenance is Provenance.CORRECTED:
        return "corrected"
    if fmax.provenance is not Provenance.MODELLED:
        return ""
    error = model_error(fmax, mode)
    if error is not None:
        return f"± {100 * error:.1f} %"
    return "outside the fitted range" if fmax.details.get("calibrated") else "uncalibrated"
