"""What a trained network makes of the classes of a split."""
