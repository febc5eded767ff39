"""A section of the GPU benchmark: its time budget and its results."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import table


@dataclass
class Section:
    """The inputs, time budget and results of one section.

    Attributes:
        device: "cuda" or "cpu".
        tiny: Whether to use small sizes, to test the script.
        data: Folder with camvid/ and ccp/, or None.
        out: Folder of the results.
        seeds: Seeds of the trainings.
        shared: Numbers that one section measures and another uses.
        save: Function that writes all results so far.
        ends: End of its share of the time, on the monotonic clock.
        rows: Rows of its table.
        skipped: Parts that were skipped, and why.
        facts: Results that do not fit the table.
        error: Traceback, if it failed.
        seconds: Duration.
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
        """Seconds left of the share."""
        return self.ends - time.monotonic()

    def fits(self, what: str, seconds: float) -> bool:
        """Whether there is time for a part; if not, the part is recorded as skipped."""
        if self.left() >= seconds:
            return True
        self.skipped.append(f"{what}: no time left")
        return False

    def add(self, row: dict[str, Any]) -> None:
        """Add a finished row."""
        self.rows.append(row)
        self.save()

    def text(self, name: str) -> str:
        """Table and notes in Markdown."""
        parts = [f"## {name} ({self.seconds:.0f} s)"]
        parts += [table(self.rows)] if self.rows else []
        for key, value in self.facts.items():
            lines = value if isinstance(value, list) else [value]
            parts.append(f"{key}:\n" + "\n".join(f"    {line}" for line in lines))
        parts += ["Skipped: " + "; ".join(self.skipped)] if self.skipped else []
        parts += [f"FAILED:\n```\n{self.error}```"] if self.error else []
        return "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        """All results."""
        keys = ("seconds", "rows", "skipped", "facts", "error")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}
