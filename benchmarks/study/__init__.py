"""The comparison study of methods."""
