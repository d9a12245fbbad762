"""How a stage runs: lineage, cache, resume, gates, events, assets."""

from burnish.runtime.extras import need
from burnish.runtime.gates import require
from burnish.runtime.run import Run
from burnish.runtime.workdir import Workdir

__all__ = ["Run", "Workdir", "need", "require"]
