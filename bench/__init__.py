"""Benchmarks: how fast the gateway is, on the machine at hand."""
