"""Every case there is: a new loss adds one to a file of cases, and is judged."""

from importlib import import_module
from pathlib import Path

from equiseg.testing import LossCase

CASES: list[LossCase] = [
    case
    for path in sorted(Path(__file__).parent.glob("cases_*.py"))
    for case in import_module(f"contract.{path.stem}").CASES
]
