"""The agent of an archive, as the launcher on a board starts it, on the stand-in for the fabric.

``python board_standin.py ARCHIVE FOLDER [FAULT...]``: the archive's own code runs; of ours only the stand-in, which
says what a PYNQ-Z1 would say of itself, and counts time by its own cycles.
"""

from __future__ import annotations

import importlib
import sys

MODULES = ("errors", "watts", "fabric", "archive", "unpack", "wire", "store", "device", "server")


def main(archive, folder, *faults):
    faults = [fault.replace("_", " ") for fault in faults]
    sys.path.insert(0, archive)
    for name in MODULES:  # the stand-in is written against this project's names
        sys.modules[f"boards.agent.{name}"] = importlib.import_module(f"codesign_board.{name}")
    from agent_standin import StandinFabric
    from codesign_board import server

    class Board(StandinFabric):
        def versions(self):
            pynq = "4.0.0" if "new pynq" in faults else None if "no pynq" in faults else "3.0.1"
            return {"pynq": pynq, "pycparser": "3.0" if "pycparser" in faults else "2.21"}

        def board(self):
            return None if "no name" in faults else "ZCU104" if "other board" in faults else super().board()

        def program(self, bit, places, clock_mhz):
            return super().program(bit, places, clock_mhz) * (0.625 if "slow register" in faults else 1.0)

        def seconds(self):
            return self.values.get("cycles_low", 0) / (80e6 if "slow clock" in faults else 100e6)

    def hello(self, arguments, data, plain=server.Server._hello):
        answer = {**plain(self, arguments, data)[0], "root": "no root" not in faults}
        if "full" in faults:
            answer["free_bytes"] = 1 << 20
        if "old" in faults:
            answer["protocol"] = 0
        return answer, b""

    server.Server._hello = hello
    return server.main([folder], Board(*faults), "")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
