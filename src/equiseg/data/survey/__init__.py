"""Questions about the samples of a data set, whose answers are remembered by file."""
