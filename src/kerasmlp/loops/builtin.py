"""The built-in loops, by name."""

from kerasmlp.loops.eager import eager
from kerasmlp.loops.fit import fit
from kerasmlp.loops.graph import graph
from kerasmlp.loops.interface import ResumableLoop

LOOPS: dict[str, ResumableLoop] = {"fit": fit, "graph": graph, "eager": eager}
