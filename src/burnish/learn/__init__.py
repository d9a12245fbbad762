"""One training loop: packing, schedules, precision, snapshots."""
