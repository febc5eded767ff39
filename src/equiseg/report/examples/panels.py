"""The illustration of example panels: samples with rare classes, labels, predictions, errors."""

from __future__ import annotations

import numpy as np

from equiseg.records.examples import ExamplePanels
from equiseg.report.examples.grid import example_figure
from equiseg.report.examples.scan_grid import scan_example_figure
from equiseg.report.style import Illustration


def example_illustration(panels: ExamplePanels) -> Illustration:
    """Draw example panels."""
    order = [k for ids in panels.groups.values() for k in ids]
    tail = panels.groups["tail"]
    if panels.kind == "scans":
        figure = scan_example_figure(
            panels.points,
            panels.pictures,
            panels.labels,
            panels.predictions,
            panels.classes,
            tail,
            order,
        )
        errors = "The lower row, from above, shows the errors of a network in red. "
    else:
        figure = example_figure(
            panels.pictures,
            panels.labels,
            panels.predictions | _errors(panels),
            panels.classes,
            tail,
            order,
        )
        errors = (
            "An outline marks labels of tail classes in every picture of a row. Error panels show "
            "the wrong part of a prediction, in its colours. "
        )
    return Illustration(
        "examples",
        "Examples with rare classes",
        figure,
        f"{panels.considered} {panels.kind} spread over the split were considered; these have the "
        "most tail classes, chosen by their labels alone: each choice takes the one with most "
        "pixels of them, and a class counts less once it was shown. Tail classes have their full "
        f"colour, others a pale one. {errors}The palest grey is unlabelled or correct.",
        [{"row": row, panels.kind[:-1]: name} for row, name in enumerate(panels.names, start=1)],
        f"{len(panels.names)} {panels.kind}, each with its labels and the predictions of "
        f"{' and '.join(panels.predictions)}.",
    )


def _errors(panels: ExamplePanels) -> dict[str, list[np.ndarray]]:
    """For each network whose errors are shown, its wrong predictions; K elsewhere."""
    nothing = len(panels.classes)
    return {
        f"errors of {name}": [
            np.where((ids != labels) & (labels < nothing), ids, nothing)
            for ids, labels in zip(panels.predictions[name], panels.labels, strict=True)
        ]
        for name in panels.with_errors
    }
