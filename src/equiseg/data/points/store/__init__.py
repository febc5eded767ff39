"""Scans on disk as memory maps, sorted by block."""
