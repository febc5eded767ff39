"""Files of a run on disk: folder, lock, weights, progress and provenance."""
