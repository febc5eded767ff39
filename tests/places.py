"""Where the project and the real data next to it lie."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"  # absent on most machines: tests of it skip
