"""Studies: methods times tasks times seeds, tuned with the same budget and compared in pairs."""
