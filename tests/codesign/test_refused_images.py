"""Networks of images that cannot be built, through the command line: one message that names layer and value, exit 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qkeras_images import conv, depthwise, drawn, layer, model
from qkeras_layers import q
from user_models import saved

from codesign.cli import main

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]
# fmt: off
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "causal padding": (
        lambda: model((8, 2), conv("c", 3, 3, 1, padding="causal")),
        "layer 'c' (QConv1D) has padding='causal'; use 'valid' or 'same'",
    ),
    "dilation": (
        lambda: model((8, 8, 2), conv("c", 3, dilation_rate=2)),
        "layer 'c' (QConv2D) has dilation_rate=[2, 2]; only 1 is built",
    ),
    "dilation, depthwise": (
        lambda: model((8, 8, 2), depthwise("c", dilation_rate=(1, 2))),
        "layer 'c' (QDepthwiseConv2D) has dilation_rate=[1, 2]; only 1 is built",
    ),
    "data format": (
        lambda: model((2, 8, 8), layer("ZeroPadding2D", 1, data_format="channels_first", name="z"), conv("c", 2, 1)),
        "layer 'z' (ZeroPadding2D) has data_format='channels_first'; use channels_last",
    ),
    "groups": (lambda: model((8, 8, 2), conv("c", 4, groups=2)), "layer 'c' (QConv2D) has groups=2; only 1 is built"),
    "average over nine": (
        lambda: model((9, 9, 2), layer("AveragePooling2D", 3, name="p"), conv("c", 2)),
        "layer 'p' averages 9 values, which is no power of two",
    ),
    "average that is cut": (
        lambda: model((5, 5, 2), layer("AveragePooling2D", 2, padding="same", name="p"), conv("c", 2)),
        "layer 'p' averages fewer values at the border (padding='same'); use padding='valid'",
    ),
    "wide input": (
        lambda: model((5, 5, 2), conv("c", 2), bits="quantized_bits(17,0,keep_negative=0,alpha=1)"),
        "stage 'c': input_bits must be 1 to 16, not 17",
    ),
    "wide sums": (
        lambda: model((4, 4, 60), conv("c", 3), bits="quantized_bits(16,0,keep_negative=0,alpha=1)"),
        "float32 QKeras is exact up to 24",
    ),
    "alpha auto": (
        lambda: model((5, 5, 2), conv("c", 2, kernel_quantizer=q("ternary(alpha='auto')"))),
        "which is no power of two (or the negative of one); give its kernel alpha='auto_po2' or a power of two",
    ),
}
# fmt: on


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_said_what_is_wrong_with_which_layer(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = REFUSED[name]
    path = saved(drawn(make()), tmp_path / "mine.h5")
    code = main(["measure", str(path)])
    said = capsys.readouterr().err
    assert (code, said.count("\ncodesign: error: ") + said.startswith("codesign: error: ")) == (2, 1), said
    assert message in " ".join(said.split())
