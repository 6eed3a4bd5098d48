"""The C model as files: header, test program, golden vectors, Makefile, README."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import DataError, StorageError
from hw.cmodel.header import header, prefix_of
from hw.cmodel.values import shape_words, types_of, words
from hw.graph import Graph, Ints, Node
from hw.measure.plan import write_files
from hw.samples import finite, require_samples

GOLDEN_INPUTS, GOLDEN_OUTPUTS = "golden/inputs.npy", "golden/outputs.npy"
PROGRAM = "test.c"
FLAGS = "-O3"
_PIECE = 1024


def project(graph: Graph, name: str, origin: str) -> dict[str, str]:
    """Text files by path; :func:`write_vectors` adds the golden vectors. ``origin``: what wrote them, in a word."""
    prefix = prefix_of(name)
    program = resources.files("hw.cmodel").joinpath(PROGRAM).read_text(encoding="utf-8")
    return {
        f"{prefix}.h": header(graph, name, origin),
        f"{prefix}_{PROGRAM}": program.replace("NETWORK", prefix),
        "Makefile": _makefile(prefix),
        "graph.json": json.dumps(graph.to_json()) + "\n",
        "README.md": _readme(prefix, name, graph),
    }


def write_project(
    graph: Graph, name: str, x: NDArray[Any], folder: Path, origin: str, source: str = "the array of vectors"
) -> None:
    """Write all of it into ``folder``, with ``x`` (n, ...) as golden vectors; ``origin`` as for :func:`project`.

    No file where ``x`` is refused.
    """
    write_vectors(folder, graph, x, source)
    write_files(folder, project(graph, name, origin))


def write_vectors(folder: Path, graph: Graph, x: NDArray[Any], source: str = "the array of vectors") -> None:
    """Write the golden vectors: ``x`` as integers, and what the graph computes of them, piece by piece.

    ``x`` (n, ...): integers of the input's type, or real values, which are quantized as the model's first layer does.
    ``source``: where they come from, for the DataError of other shapes or values, which leaves earlier vectors as they
    were. ``x`` may be a map of these.
    """
    require_samples(source, x, graph.input.size)
    new = not folder.exists()
    write_files(folder, {})
    try:
        with TemporaryDirectory(dir=folder, prefix=".new") as beside:
            _write_pieces(Path(beside), graph, x, source)
            for path, _ in _places(graph):
                (folder / path).parent.mkdir(exist_ok=True)
                (Path(beside) / path).replace(folder / path)
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or folder}: {error.strerror}; make room there") from None
    except DataError:
        if new:
            folder.rmdir()
        raise


def _write_pieces(folder: Path, graph: Graph, x: NDArray[Any], source: str) -> None:
    inputs, outputs = (_opened(folder / path, len(x), node, graph) for path, node in _places(graph))
    for begin in range(0, len(x), _PIECE):
        piece = _integers(graph, x[begin : begin + _PIECE], source, begin)
        inputs[begin : begin + _PIECE] = piece
        outputs[begin : begin + _PIECE] = graph.run(piece)
    for written in (inputs, outputs):
        written.flush()


def _places(graph: Graph) -> tuple[tuple[str, Node], ...]:
    return (GOLDEN_INPUTS, graph.input), (GOLDEN_OUTPUTS, graph.output)


def _opened(path: Path, count: int, node: Node, graph: Graph) -> np.memmap[Any, Any]:
    path.parent.mkdir(exist_ok=True)
    kind = np.dtype(types_of(graph)[node.name].removesuffix("_t")).newbyteorder("<")
    return np.lib.format.open_memmap(path, "w+", kind, (count, node.size), version=(1, 0))


def _integers(graph: Graph, x: NDArray[Any], source: str, begin: int) -> Ints:
    kind = graph.input.type
    if not np.issubdtype(x.dtype, np.integer):
        return kind.nearest(finite(source, x, np.float32, begin))  # as Keras does, which decides between two halves
    if x.min() < kind.low or x.max() > kind.high:
        raise DataError(
            f"{source} holds integers {x.min()}..{x.max()}, but the input is {words(kind)}: {kind.low}..{kind.high}; "
            "give real values as float32"
        )
    return x.reshape(len(x), -1).astype(np.int64)


def _makefile(prefix: str) -> str:
    return f"""\
# make: compile and compare with the golden vectors. make time: CPU time of one inference, as a line of JSON.
CC = gcc
CFLAGS = {FLAGS}

test: {prefix}_test
\t./{prefix}_test {GOLDEN_INPUTS} {GOLDEN_OUTPUTS}

time: {prefix}_test
\t@./{prefix}_test {GOLDEN_INPUTS} --time

{prefix}_test: {prefix}_test.c {prefix}.h
\t$(CC) -std=c99 $(CFLAGS) -DFLAGS='"$(CFLAGS)"' -o $@ {prefix}_test.c

clean:
\trm -f {prefix}_test

.PHONY: test time clean
"""


def _readme(prefix: str, name: str, graph: Graph) -> str:
    first, last = graph.input, graph.output
    return f"""# {name} in C

`{prefix}.h` is the whole network: C99, no libraries, no allocation, exact.

```c
#include "{prefix}.h"

{prefix}_input_t x[{prefix}_INPUTS];    /* {shape_words(first)} {words(first.type)}: real value * 2^{first.type.frac} */
{prefix}_output_t y[{prefix}_OUTPUTS];  /* {shape_words(last)} {words(last.type)}: real value * 2^{last.type.frac} */
{prefix}_run(x, y);
```

| command | what it does |
| --- | --- |
| `make` | compiles `{prefix}_test.c` and compares every output with `golden/` |
| `make time` | CPU time of one inference: the median of 25 repeats, as a line of JSON |
| `make CC=arm-linux-gnueabihf-gcc` | the same with another compiler; also `make CFLAGS="-O3 -march=native" -B time` |
| `./{prefix}_test X.npy Y.npy` | compares with your own vectors, read one by one: files may be larger than the memory |
| `./{prefix}_test X.npy --to Y.npy` | writes the outputs of `X.npy` |

`X.npy` holds integers, or float32, which are quantized as the model's first layer does. `golden/` was computed by the
integer network in `graph.json`, which is the reference. Shifts, sums and comparisons are those of C99 where it defines
them; `int` must have 32 bits.

`codesign measure MODEL --via c --host user@board` does this on a board, over ssh, and shows the time beside the FPGA's.
"""
