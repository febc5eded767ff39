"""Counts of the classes of a data set, and their profile."""
