"""The page of a folder of results, from its records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from equiseg.foreign_files import FileError

if TYPE_CHECKING:
    from equiseg.records.history import Histories
    from equiseg.study.comparison import Comparison
    from equiseg.study.record import Study


T = TypeVar("T")


def draw_page(
    folder: Path, out: Path | None = None, tell: Callable[[str], None] = lambda text: None
) -> Path:
    """Draw the page that the records in a folder allow: no weights, no data, no torch.

    Args:
        folder: Folder of results, as train, compare, diagnose or stats left it.
        out: Folder for the page and its figures; None takes the same folder.
        tell: Receives a message for each damaged record, whose figures are left out.

    Returns:
        The page.

    Raises:
        FileError: If the record of the page itself is damaged or of an unknown version.
        ValueError: If the folder has no records of a page.
    """
    from equiseg.records.data_statistics import STATISTICS
    from equiseg.records.diagnosis import DIAGNOSIS
    from equiseg.records.run_result import RESULT
    from equiseg.study.comparison import COMPARISON
    from equiseg.study.record import STUDY, Study

    place = out or folder
    if (folder / STUDY).is_file():
        return _study(folder, place, Study.load(folder, tell), tell)
    for name, draw in (
        (COMPARISON, _comparison),
        (DIAGNOSIS, _diagnosis),
        (STATISTICS, _data_set),
        (RESULT, _run),
    ):
        if (folder / name).is_file():
            return draw(folder, place, tell)
    if (old := Study.load_tasks(folder)) is not None:
        return _study(folder, place, old, tell)
    raise ValueError(
        f"folder: {folder} has no records of a page ({STUDY}, {COMPARISON}, {DIAGNOSIS}, "
        f"{STATISTICS} or {RESULT}); give a folder that train, compare, diagnose or stats wrote, "
        "once it is finished"
    )


def _run(folder: Path, out: Path, tell: Callable[[str], None]) -> Path:
    """A run is a comparison of one."""
    from equiseg.records.history import read_histories
    from equiseg.records.run_result import read_result
    from equiseg.report.comparison.page import report_comparison
    from equiseg.study.comparison import Comparison

    result = read_result(folder)
    split = next((name for name in ("test", "val") if name in result), "")
    name = _run_name(folder, result["method"])
    comparison = Comparison.collect(
        {name: [folder]},
        [result["seed"]],
        split,
        data=result.get("data_name", ""),
        command=result.get("command", ""),
    )
    return report_comparison(out, comparison, read_histories({name: [folder]}, tell))


def _comparison(folder: Path, out: Path, tell: Callable[[str], None]) -> Path:
    from equiseg.records.diagnosis import NETWORKS, NetworksRecord
    from equiseg.records.examples import EXAMPLES, ExamplePanels
    from equiseg.report.comparison.page import report_comparison
    from equiseg.study.comparison import COMPARISON, Comparison

    comparison = Comparison.load(folder / COMPARISON)
    return report_comparison(
        out,
        comparison,
        _histories(folder, comparison, tell),
        _loaded(NetworksRecord.load, folder / NETWORKS, tell),
        _loaded(ExamplePanels.load, folder / EXAMPLES, tell),
    )


def _study(folder: Path, out: Path, study: Study, tell: Callable[[str], None]) -> Path:
    from equiseg.report.study.page import report_study

    histories = {t: _histories(folder / t, c, tell) for t, c in study.comparisons.items()}
    for task in study.comparisons:
        _comparison(folder / task, out / task, tell)
    return report_study(out, study, histories)


def _diagnosis(folder: Path, out: Path, tell: Callable[[str], None]) -> Path:
    from equiseg.records.diagnosis import DIAGNOSIS, DiagnosisPage
    from equiseg.records.examples import EXAMPLES, ExamplePanels
    from equiseg.report.diagnosis.page import report_diagnosis

    return report_diagnosis(
        out,
        DiagnosisPage.load(folder / DIAGNOSIS),
        _loaded(ExamplePanels.load, folder / EXAMPLES, tell),
    )


def _data_set(folder: Path, out: Path, tell: Callable[[str], None]) -> Path:
    from equiseg.records.data_statistics import STATISTICS, DataStatistics
    from equiseg.report.dataset.page import report_data

    return report_data(out, DataStatistics.load(folder / STATISTICS))


def _loaded(load: Callable[[Path], T], path: Path, tell: Callable[[str], None]) -> T | None:
    """An optional record of a page; None if it is missing or damaged."""
    if not path.exists():
        return None
    try:
        return load(path)
    except FileError as error:
        tell(f"{error}; the page leaves its figures out")
        return None


def _histories(folder: Path, comparison: Comparison, tell: Callable[[str], None]) -> Histories:
    """The learning curves of a comparison: from its record or, of older ones, from the logs."""
    from equiseg.records.history import CURVES, load_histories, read_histories

    if (folder / CURVES).exists():
        return _loaded(load_histories, folder / CURVES, tell) or {}
    return read_histories(
        {n: [folder / n / f"seed{s}" for s in comparison.seeds] for n in comparison.runs}, tell
    )


def _run_name(folder: Path, method: str) -> str:
    """The method, as long as its name is short; else the name of the folder."""
    return method if len(method) <= 40 else folder.resolve().name
