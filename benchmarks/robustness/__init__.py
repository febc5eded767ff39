"""Broken inputs, wrong command lines and killed runs: nothing is wrong in silence, nothing lost."""
