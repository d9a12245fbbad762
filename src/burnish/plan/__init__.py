"""The planning room: what a run will cost before it is run."""
