"""What a run leaves on disk: its folder, lock, weights, progress and provenance."""
