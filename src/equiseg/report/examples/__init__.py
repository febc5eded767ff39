"""Panels of images and scans with rare classes."""
