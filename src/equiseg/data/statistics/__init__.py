"""Counting the classes of whatever DATA names."""
