"""Instruments: synthesis, static timing and simulation."""
