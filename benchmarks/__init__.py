"""Measurements and studies behind the documentation: python -m benchmarks.NAME."""
