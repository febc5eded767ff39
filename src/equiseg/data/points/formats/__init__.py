"""Scan formats: one file per format, and the scans of a card."""
