"""A trained network on images and scans: inference, scores, prediction files."""
