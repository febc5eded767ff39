"""The study of methods."""
