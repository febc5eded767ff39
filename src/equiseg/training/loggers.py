"""Where a run logs its losses and scores: a CSV that is replaced whole, and TensorBoard."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from equiseg.whole_files import replace_text


class WholeCSVLogger(CSVLogger):
    """Lightning's CSV log, in the same form, but a killed run leaves no half-written file."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self._rows: list[dict[str, Any]] = []

    def save(self) -> None:
        """Write all rows."""
        if self._experiment is None or not self._experiment.metrics:
            return
        self._rows += self._experiment.metrics
        self._experiment.metrics = []
        text = io.StringIO(newline="")
        names = sorted({name for row in self._rows for name in row})
        writer = csv.DictWriter(text, fieldnames=names)
        writer.writeheader()
        writer.writerows(self._rows)
        replace_text(Path(self.log_dir) / "metrics.csv", text.getvalue(), durable=False)


def loggers(folder: Path) -> list[Logger]:
    """The loggers of a run.

    Args:
        folder: The folder of the run; a resumed run logs to a new ``logs/version_N``.
    """
    return [WholeCSVLogger(folder, "logs"), TensorBoardLogger(folder, "tensorboard")]
