"""Broken inputs, wrong command lines and killed runs: nothing may be wrong in silence or be lost."""
