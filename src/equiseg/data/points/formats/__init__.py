"""Scan formats: one file a format, and which scans a card has."""
