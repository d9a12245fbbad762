"""Triton kernels, each with an oracle in plain torch beside it."""
