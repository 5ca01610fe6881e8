"""Benchmarks: ``python -m bench.table`` and ``pytest bench --benchmark-only``."""
