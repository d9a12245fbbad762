"""Pure numbers: metrics, intervals, divergence."""
