"""equiseg report: pages from records alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from equiseg import commands
from equiseg.data.statistics.counting import Counts
from equiseg.data.statistics.profile import DataProfile
from equiseg.imbalance import ClassStatistics
from equiseg.records.data_statistics import STATISTICS
from equiseg.records.diagnosis import NETWORKS, save_networks
from equiseg.records.history import CURVES, read_histories, save_histories
from equiseg.study.comparison import COMPARISON, Comparison
from equiseg.study.record import Study
from equiseg.training.run import train
from runs import tiny_config

# A finder, not a None in sys.modules: scipy looks there for arrays of torch.
_WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from equiseg.cli.main import main
for folder in sys.argv[1:]:
    main(["report", folder])
"""


def main_of(folder: Path) -> str:
    page = (folder / "report.html").read_text(encoding="utf-8")
    return page.split("<main>")[1].split("<script>")[0]


@pytest.fixture(scope="module")
def compared(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of a comparison of two runs, and of networks that could not be opened."""
    out = tmp_path_factory.mktemp("compared")
    other = tmp_path_factory.mktemp("other")
    train(tiny_config(method="cross_entropy", epochs=1), other)
    folders = {"cross_entropy": [other], "ceco": [finished_run]}
    comparison = Comparison.collect(folders, [0], "test", data="pictures", command="a command")
    comparison.save(out / COMPARISON)
    save_histories(read_histories(folders), out / CURVES)
    save_networks(out / NETWORKS, {}, problem="they are elsewhere")
    return out


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    import torch

    labels = [torch.tensor([[0, 0, 1], [0, 2, 1]])]
    profile = DataProfile(
        "home", ("a", "b", "c"), Counts(ClassStatistics.from_labels(labels, 3), None)
    )
    profile.save(tmp_path / "counted" / STATISTICS, command="equiseg stats home", made={})
    return tmp_path / "counted"


def test_every_page_is_drawn_without_torch_weights_and_data(
    finished_run: Path, compared: Path, counted: Path, tmp_path: Path
) -> None:
    commands.diagnose(
        finished_run, commands.DiagnoseOptions(out=tmp_path / "diagnosis", split="val")
    )
    folders = [tmp_path / name for name in ("run", "comparison", "study")]
    run, comparison, study = folders
    for name in ("result.json", "logs"):
        source = finished_run / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, _made(run) / name)
    shutil.copytree(compared, comparison)
    for task in ("a", "b"):
        shutil.copytree(compared, study / task)
    known = Comparison.load(compared / COMPARISON)
    Study({"a": known, "b": known}, {"a": {}, "b": {}}, "miou").save(study)
    folders += [tmp_path / "diagnosis", counted]
    before = (tmp_path / "diagnosis" / "report.html").read_text(encoding="utf-8")
    for folder in folders:
        (folder / "report.html").unlink(missing_ok=True)
        shutil.rmtree(folder / "figures", ignore_errors=True)

    source = Path(commands.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, *map(str, folders)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(source)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "During training" in main_of(run)
    assert "ceco against cross_entropy on pictures" in main_of(comparison)
    assert "they are elsewhere" in main_of(comparison)
    assert "two tasks" in main_of(study)
    assert (study / "a" / "report.html").is_file()
    assert "Classes of home" in main_of(counted)
    drawn = (tmp_path / "diagnosis" / "report.html").read_text(encoding="utf-8")
    assert drawn == before  # the same records, the same page


def test_the_page_goes_where_out_says(compared: Path, tmp_path: Path) -> None:
    page = commands.report(compared, tmp_path / "elsewhere")
    assert page == tmp_path / "elsewhere" / "report.html"
    assert not (compared / "report.html").exists()


def test_a_run_of_before_there_were_versions_has_a_page(finished_run: Path, tmp_path: Path) -> None:
    result = json.loads((finished_run / "result.json").read_text())
    for name in ("kind", "version", "data_name", "command"):
        result.pop(name, None)
    (tmp_path / "result.json").write_text(json.dumps(result))
    commands.report(tmp_path)
    assert "reaches a mIoU of" in main_of(tmp_path)


def test_a_comparison_of_before_takes_its_curves_from_the_logs(
    compared: Path, finished_run: Path, tmp_path: Path
) -> None:
    values = json.loads((compared / COMPARISON).read_text())
    for name in ("kind", "version", "data", "command"):
        values.pop(name)
    (tmp_path / COMPARISON).write_text(json.dumps(values))
    shutil.copytree(finished_run / "logs", tmp_path / "ceco" / "seed0" / "logs")
    commands.report(tmp_path)
    assert "During training" in main_of(tmp_path)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no records of a page \(study.json, comparison.json"):
        commands.report(tmp_path)


def newer(text: str) -> str:
    return json.dumps(json.loads(text) | {"version": 7})


def cut(text: str) -> str:
    return text[:100]


DAMAGE = [
    (newer, "the record has version 7, this equiseg reads the versions 0, 1; install"),
    (cut, "not a JSON file .*equiseg compare"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGE)
def test_a_comparison_that_cannot_be_read_is_refused(
    compared: Path, tmp_path: Path, damage: Callable[[str], str], told: str
) -> None:
    folder = shutil.copytree(compared, tmp_path / "copy")
    (folder / COMPARISON).write_text(damage((folder / COMPARISON).read_text()))
    with pytest.raises(ValueError, match=f"comparison.json: {told}"):
        commands.report(folder)


@pytest.mark.parametrize("name", ["curves.json", "networks.json"])
@pytest.mark.parametrize(("damage", "told"), DAMAGE)
def test_a_record_that_cannot_be_read_leaves_out_its_figures(
    compared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[str], str],
    told: str,
) -> None:
    folder = shutil.copytree(compared, tmp_path / "copy")
    (folder / name).write_text(damage((folder / name).read_text()))
    page = commands.report(folder)
    assert page.is_file()
    printed = "".join(capsys.readouterr().out.split("\n"))
    assert re.search(f"{name}: {told}.*leaves its figures out".replace(" ", " ?"), printed)


def test_training_ends_with_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    commands.train(tiny_config(epochs=1), out)
    assert f"page: {out / 'report.html'}" in capsys.readouterr().out.replace("\n", "")
    text = main_of(out)
    assert "ceco on pictures" in text
    assert "commands.train(TrainConfig(" in text

    (out / "report.html").unlink()
    for name in [name for name in sys.modules if name.startswith("equiseg.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    commands.train(tiny_config(epochs=1), out)  # it is finished: only its page is drawn
    told = capsys.readouterr().out
    assert "no page was drawn" in told
    assert "equiseg[report]" in told
    assert not (out / "report.html").exists()


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
