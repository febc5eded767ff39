"""Training on Lightning: configuration, task, runs."""
