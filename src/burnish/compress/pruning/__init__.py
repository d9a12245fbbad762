"""Pruning: plan the widths, refit what stays, cut, and measure what it cost."""
