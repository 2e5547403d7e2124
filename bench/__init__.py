"""Benchmarks; no part of the package."""
