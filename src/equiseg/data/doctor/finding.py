"""Finding: a problem of a data set, and its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """A problem that a check found.

    Attributes:
        severity: "error": training stops, or its scores cannot be trusted; "warning": training
            runs, but with avoidable losses; "hint": useful to know.
        subject: Splits, classes or kind of file that have the problem.
        seen: The observation, with numbers and file names.
        advice: The effect on training, and the option or command that fixes the problem.
    """

    severity: Severity
    subject: str
    seen: str
    advice: str


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings and hints; otherwise in the order given."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def some(items: Sequence[object], separator: str = ", ") -> str:
    """The first items as text, and the number of the others."""
    shown = separator.join(map(str, items[:_MOST_SHOWN]))
    more = len(items) - _MOST_SHOWN
    return f"{shown}{separator}... ({more} more)" if more > 0 else shown


def number_of(count: int, noun: str) -> str:
    """A count with its noun: 1 image, 2 images, 2 classes."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"
