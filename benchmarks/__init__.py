"""Measures the figures of the README and of docs/performance.md: `python -m benchmarks [--quick] [--json]`."""
