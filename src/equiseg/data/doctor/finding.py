"""Finding: one thing that will go wrong, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        severity: "error": training stops, or its scores cannot be believed; "warning": it runs,
            and something will be worse than it need be; "hint": worth knowing.
        subject: What it is about: splits, classes, a kind of file.
        seen: What was seen, with numbers and file names.
        advice: What it will do to training, and the option or command that mends it.
    """

    severity: Severity
    subject: str
    seen: str
    advice: str


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, each kind in the order given."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def some(items: Sequence[object], separator: str = ", ") -> str:
    """The first few of many."""
    shown = separator.join(map(str, items[:_MOST_SHOWN]))
    more = len(items) - _MOST_SHOWN
    return f"{shown}{separator}... ({more} more)" if more > 0 else shown


def number_of(count: int, noun: str) -> str:
    """A count with its noun: 1 image, 2 images, 2 classes."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"
