"""The spaces of networks that read images: chains of convolutions, and DeepMaker's template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from typing import Any

from codesign.architecture import ACTIVATIONS, Activation, Architecture, ConvLayer, DenseLayer, Mode
from codesign.errors import StudyError
from nas.space import Choice, Condition, Gene, Space
from nas.spaces import INPUT_BITS, built_shared, described_shared, shared

Image = tuple[int, int, int]

MOST = 4
"""Convolutions of a chain, and blocks of the template, at most."""
KERNELS = (3, 5)
_MODES: tuple[Mode, ...] = (
    "parallel",
    "solved",
)  # folding in cycles depends on the image's size, so that the solver's is the usual one
_HEADS = (0, 16, 32)
_NO_HEAD = 0


def convnet(image: Image, outputs: int) -> Space:
    """Chains of up to :data:`MOST` convolutions on ``image`` (height, width, channels), then a dense head.

    Each convolution has its own filters, kernel, activation and pooling (2 x 2 or none, as far as the image goes).
    ``head`` is the units of a hidden dense layer before the logits; 0: there is none.
    """
    depths = tuple(range(1, MOST + 1))
    hidden = Condition("head", frozenset({_NO_HEAD}), other=True)
    genes = (
        Gene("convolutions", "convolutions", depths, True),
        *_per("convolutions", MOST, "filters", (4, 8, 16)),
        *_per("convolutions", MOST, "kernel", KERNELS),
        *_per("convolutions", _poolings(image), "pool", (1, 2)),
        Gene("input_bits", "input_bits", INPUT_BITS, True),
        *_per("convolutions", MOST, "activation", ACTIVATIONS),
        Gene("head", "head", _HEADS, True),
        Gene("head_activation", "head_activation", ACTIVATIONS, True, hidden),
        Gene("batch_norm", "batch_norm", (False, True), False),
        *shared(_MODES),
    )
    return Space("convnet", genes, partial(_build_convnet, image, outputs), _describe_convnet)


def densenet(image: Image, outputs: int) -> Space:
    """DeepMaker's template (Loni et al., 2020): blocks of convolutions whose outputs join what they read.

    A convolution, then one to four blocks with 2 x 2 pooling between them, as many as the image allows; in a block
    ``layers`` convolutions of ``growth`` filters, 3 x 3 or 5 x 5, each joined with its input after dropout. Genes as in
    their Table 1, restricted to activations and optimizers that can be built. Normalization and activation follow the
    convolution here, where the template has them before it: what is joined then has few bits.
    """
    blocks = tuple(range(1, min(MOST, 1 + _poolings(image)) + 1))
    genes = (
        Gene("blocks", "blocks", blocks, True),
        *_per("blocks", len(blocks), "layers", (1, 2, 3)),
        *_per("blocks", len(blocks), "kernel", KERNELS),
        Gene("growth", "growth", (4, 8, 12), True),
        Gene("input_bits", "input_bits", INPUT_BITS, True),
        Gene("activation", "activation", ACTIVATIONS, True),
        Gene("batch_norm", "batch_norm", (True,), False),
        *shared(_MODES, (0.005, 0.01, 0.02), ("adam", "sgd", "rmsprop")),
    )
    return Space("densenet", genes, partial(_build_densenet, image, outputs), _describe_densenet)


IMAGE_SPACES: Mapping[str, Callable[[Image, int], Space]] = {"convnet": convnet, "densenet": densenet}


def require_room(space: Space) -> None:
    """StudyError where the largest poolings leave nothing of the image; smaller ones then always leave something.

    ``space`` is one of :data:`IMAGE_SPACES` of which every single choice gives a network.
    """
    keys = ("convolutions", "pool")
    most = [gene.choices.index(max(gene.choices)) if gene.key in keys else 0 for gene in space.genes]
    try:
        space.decode(most)
    except ValueError as error:
        raise StudyError(
            f"the choices of 'pool' in the space {space.name} can leave nothing of the image ({error}); allow smaller "
            "ones or fewer convolutions, or give single layers their own: genes = {pool_1 = [2, 3], pool_2 = [1]}"
        ) from None


def _per(count: str, most: int, key: str, choices: tuple[Choice, ...]) -> Iterator[Gene]:
    """A gene for each of up to ``most`` layers; those beyond what the gene ``count`` says mean nothing."""
    for number in range(1, most + 1):
        enough = Condition(count, frozenset(range(number, MOST + 1)))
        yield Gene(f"{key}_{number}", key, choices, True, enough)


def _poolings(image: Image) -> int:
    """How often the image can be halved."""
    return min(MOST, min(image[:2]).bit_length() - 1)


def _network(image: Image, outputs: int, values: Mapping[str, Any], layers: tuple[ConvLayer, ...]) -> Architecture:
    units = values.get("head", _NO_HEAD)
    hidden = (DenseLayer(units, values["head_activation"]),) if units else ()
    return Architecture(
        inputs=prod(image),
        outputs=outputs,
        hidden=hidden,
        image=image,
        convolutions=layers,
        **built_shared(values),
    )


def _build_convnet(image: Image, outputs: int, values: Mapping[str, Any]) -> Architecture:
    layers = tuple(
        ConvLayer(values[f"filters_{i}"], values[f"kernel_{i}"], values[f"activation_{i}"], values.get(f"pool_{i}", 1))
        for i in range(1, values["convolutions"] + 1)
    )
    return _network(image, outputs, values, layers)


def _describe_convnet(architecture: Architecture) -> dict[str, Choice]:
    values: dict[str, Choice] = {"convolutions": len(architecture.convolutions)}
    for i, layer in enumerate(architecture.convolutions, start=1):
        values |= {f"filters_{i}": layer.filters, f"kernel_{i}": layer.kernel, f"activation_{i}": layer.activation}
        values[f"pool_{i}"] = layer.pool
    values["head"] = _NO_HEAD
    for head in architecture.hidden:
        values |= {"head": head.units, "head_activation": head.activation}
    return values | described_shared(architecture)


def _build_densenet(image: Image, outputs: int, values: Mapping[str, Any]) -> Architecture:
    growth: int = values["growth"]
    activation: Activation = values["activation"]
    layers = [ConvLayer(growth, values["kernel_1"], activation)]
    for block in range(1, values["blocks"] + 1):
        count, kernel = values[f"layers_{block}"], values[f"kernel_{block}"]
        layers += [ConvLayer(growth, kernel, activation, joined=True)] * (count - 1)
        layers.append(ConvLayer(growth, kernel, activation, 2 if block < values["blocks"] else 1, joined=True))
    return _network(image, outputs, values, tuple(layers))


def _describe_densenet(architecture: Architecture) -> dict[str, Choice]:
    first, *joined = architecture.convolutions
    blocks: list[list[ConvLayer]] = [[]]
    for layer in joined:
        blocks[-1].append(layer)
        if layer.pool > 1:
            blocks.append([])
    values: dict[str, Choice] = {"blocks": len(blocks), "growth": first.filters, "activation": first.activation}
    for number, block in enumerate(blocks, start=1):
        values |= {f"layers_{number}": len(block), f"kernel_{number}": block[0].kernel if block else 0}
    return values | described_shared(architecture)
