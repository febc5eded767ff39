"""One public function a verb: it runs, then draws and prints.

>>> from equiseg import commands
>>> commands.train(config, "runs/mine")  # doctest: +SKIP

Importing them needs no torch: that comes with the first call.
"""

from equiseg.commands.adjust import adjust
from equiseg.commands.command_text import written_command
from equiseg.commands.compare import CompareOptions, TaskFile, compare
from equiseg.commands.demo import demo
from equiseg.commands.diagnose import diagnose
from equiseg.commands.doctor import DoctorOptions, doctor
from equiseg.commands.evaluate import EvaluateOptions, evaluate
from equiseg.commands.predict import predict
from equiseg.commands.report import report
from equiseg.commands.stats import StatsOptions, stats
from equiseg.commands.submission import submission
from equiseg.commands.train import train
from equiseg.diagnosis.options import DiagnoseOptions

# In the order in which they are needed.
VERBS = (
    "demo",
    "stats",
    "doctor",
    "train",
    "evaluate",
    "adjust",
    "compare",
    "diagnose",
    "predict",
    "report",
    "submission",
)

__all__ = [
    "VERBS",
    "CompareOptions",
    "DiagnoseOptions",
    "DoctorOptions",
    "EvaluateOptions",
    "StatsOptions",
    "TaskFile",
    "adjust",
    "compare",
    "demo",
    "diagnose",
    "doctor",
    "evaluate",
    "predict",
    "report",
    "stats",
    "submission",
    "train",
    "written_command",
]
