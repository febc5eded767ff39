"""A section of the GPU benchmark: its share of the time, and what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import table


@dataclass
class Section:
    """One section: what it may use, and what it found.

    Attributes:
        device: "cuda" or "cpu".
        tiny: Small sizes, to try the script.
        data: The folder of benchmarks/gpu/inputs.py, or None.
        out: The folder of results.
        seeds: Of the trainings.
        shared: What one section found and another needs.
        save: Writes everything found so far.
        ends: When its share is over, on the monotonic clock.
        rows: The rows of its table.
        skipped: What was left out, and why.
        facts: What does not fit a table.
        error: Traceback, where it failed.
        seconds: What it took.
    """

    device: str
    tiny: bool
    data: Path | None
    out: Path
    seeds: tuple[int, ...]
    shared: dict[str, Any]
    save: Callable[[], None]
    ends: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0

    def left(self) -> float:
        """Seconds left of its share."""
        return self.ends - time.monotonic()

    def fits(self, what: str, seconds: float) -> bool:
        """Whether there is time for it; if not, it is noted."""
        if self.left() >= seconds:
            return True
        self.skipped.append(f"{what}: no time left")
        return False

    def add(self, row: dict[str, Any]) -> None:
        """A finished row."""
        self.rows.append(row)
        self.save()

    def text(self, name: str) -> str:
        """Table and notes in Markdown."""
        parts = [f"## {name} ({self.seconds:.0f} s)"]
        parts += [table(self.rows)] if self.rows else []
        for key, value in self.facts.items():
            lines = value if isinstance(value, list) else [value]
            parts.append(f"{key}:\n" + "\n".join(f"    {line}" for line in lines))
        parts += ["Left out: " + "; ".join(self.skipped)] if self.skipped else []
        parts += [f"FAILED:\n```\n{self.error}```"] if self.error else []
        return "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Everything found."""
        keys = ("seconds", "rows", "skipped", "facts", "error")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}
