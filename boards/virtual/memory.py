"""The board's memory, as far as it is allocated, beside a processor whose caches never write back or look again."""

from __future__ import annotations

import bisect

PAGE = 4096
BASE = 0x1000_0000
"""Where the contiguous memory begins: what lies below belongs to Linux."""


class Memory:
    """Buffers by physical address, for a DMA. What it holds is not what the processor sees until caches are synced."""

    def __init__(self, size: int) -> None:
        self._end = size
        self._starts: list[int] = []
        self._content: dict[int, bytearray] = {}

    def allocate(self, size: int) -> int:
        """The address of so many bytes, a page or more apart from others; MemoryError where there is no room."""
        place, needed = BASE, -(-max(size, 1) // PAGE) * PAGE
        for start in self._starts:
            if start - place >= needed:
                break
            place = start + -(-len(self._content[start]) // PAGE) * PAGE
        if place + needed > self._end:
            raise MemoryError(f"{size} bytes of contiguous memory are not to be had on this virtual board")
        bisect.insort(self._starts, place)
        self._content[place] = bytearray(max(size, 1))
        return place

    def free(self, address: int) -> None:
        """Give back what :meth:`allocate` gave."""
        self._starts.remove(address)
        del self._content[address]

    def read(self, address: int, size: int) -> bytes | None:
        """None where any of it is in no buffer."""
        found = self._find(address, size)
        return None if found is None else bytes(found[0][found[1] : found[1] + size])

    def write(self, address: int, data: bytes) -> bool:
        """Whether all of it went into one buffer; nothing is written otherwise."""
        found = self._find(address, len(data))
        if found is not None:
            found[0][found[1] : found[1] + len(data)] = data
        return found is not None

    def _find(self, address: int, size: int) -> tuple[bytearray, int] | None:
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        inside = address + size <= start + len(self._content[start])
        return (self._content[start], address - start) if inside else None
