"""What a run, a comparison or a diagnosis is drawn from: JSON and small arrays, no torch."""
