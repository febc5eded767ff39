"""The study of neural collapse."""
