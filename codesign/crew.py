"""Crew: who does the jobs of a search."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codesign.errors import InputError

_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:([1-9]\d{0,4})", re.ASCII)
_LAST_PORT = 65535


@dataclass(frozen=True)
class Crew:
    """Who does the jobs: ``workers`` processes here (None: one per core), or the workers of the cluster at an address.

    Dask's own local cluster does not stand in for our processes here: it cannot end a task that hangs, does not end
    the tools of a worker that died, and keeps no log of it. So on a cluster, too, it is our processes that work.
    Raises InputError for what is no address; whether a scheduler answers there shows when there is work.
    """

    workers: int | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        """Look at the address."""
        if self.cluster is None:
            return
        found = _ADDRESS.fullmatch(self.cluster)
        if found is None or int(found[2]) > _LAST_PORT:
            raise InputError(
                f"--cluster {self.cluster} is not the address of a dask scheduler; give e.g. tcp://10.0.0.1:8786"
            )
