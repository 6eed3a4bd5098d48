"""A board without a board: real pynq on a model of the fabric, whose accelerator is the real RTL, simulated by cycle.

Runs in an environment of its own with pynq, as a copy beside a copy of the agent's package, and imports nothing else of
this project. Its figures are simulated. dma.py and hardware.py say what the model leaves out.
"""
