"""``codesign init``: the commented study file to start from."""

from __future__ import annotations

from pathlib import Path

from codesign.errors import InputError, StorageError
from codesign.place import PROGRAM
from codesign.study import Study

HEADER = """\
# A study: what codesign searches, for which hardware, within what budget.
# Every key is listed with its default; a key after '#' is optional and not set. In [space] those are the defaults of
# the space "mlp"; any other space has its own, and a key that is set replaces them.

"""


def write_study(path: Path) -> None:
    """Write the default study with a comment on every key; InputError where there is a file already."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(HEADER + Study().to_toml(comments=True))
    except FileExistsError:
        raise InputError(f"{path} exists and is not overwritten; give another name: {PROGRAM} init NAME.toml") from None
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; give another place: {PROGRAM} init PATH") from None
