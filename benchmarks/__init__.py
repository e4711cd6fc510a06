"""Measurements of the kit; each module runs as `python -m benchmarks.NAME`."""
