import csv
import dataclasses
import re

import pytest
import torch

from equiseg.commands.draw_page import draw_page
from equiseg.data.config import DataConfig
from equiseg.data.sources import open_split
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.imbalance import FrequencyGroups
from equiseg.models import build_model
from equiseg.records.diagnosis import NETWORKS, NetworksRecord
from equiseg.records.examples import EXAMPLES
from equiseg.runs.weights import ModelCard, save_weights
from equiseg.study.comparison import COMPARISON
from equiseg.study.network_records import record_networks
from equiseg.training.config import ModelConfig, TrainConfig
from equiseg.training.config_file import write_config

# Ids of clipped areas differ from drawing to drawing; the PNG has the same pixels, other bytes.
_CLIP = r'p[0-9a-f]{10}|base64,[^"]*'


@pytest.fixture
def finished(tmp_path, make_comparison):
    """A folder as compare leaves it, with networks that learned nothing."""
    pictures = PicturesConfig(num_classes=6, image_size=(48, 64))
    data = DataConfig(synthetic=SyntheticConfig(pictures, num_samples=(2, 2, 4)))
    classes = open_split(data, "test").classes
    comparison = dataclasses.replace(make_comparison(num_seeds=1), classes=list(classes))
    groups = FrequencyGroups.from_mapping(comparison.groups)
    torch.manual_seed(0)
    model = build_model("fpn-small", len(classes))
    for name in comparison.runs:
        folder = tmp_path / name / "seed0"
        config = TrainConfig(data=data, model=ModelConfig("fpn-small"))
        write_config(config, folder / "config.yaml")
        card = ModelCard("fpn-small", classes, 255, None, groups)
        save_weights(model, card, folder / "model.safetensors")
    return tmp_path, comparison


def draw(out, comparison):
    """Write the records of a finished comparison, and draw its page."""
    comparison.save(out / COMPARISON)
    record_networks(out, comparison)
    return draw_page(out)


def test_page_and_figures_of_a_finished_comparison(finished):
    out, comparison = finished
    page = draw(out, comparison)
    assert page == out / "report.html"
    files = {file.name for file in (out / "figures").iterdir()}
    names = ("classes", "reliability", "examples", "cosines", "gradients")  # no logs, no curves
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")}
    text = page.read_text(encoding="utf-8")
    assert text.count("<figcaption>") == 5
    assert "4 images of the test split" in text


def test_curves_come_with_what_was_logged(finished):
    out, comparison = finished
    logs = out / comparison.baseline / "seed0" / "logs" / "version_0"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text(
        "epoch,step,val/miou,collapse/equiangularity\n0,9,0.5,0.4\n1,19,0.6,0.3\n"
    )
    text = draw(out, comparison).read_text(encoding="utf-8")
    assert text.index("<h2>During training</h2>") < text.index("<h2>Collapse during training</h2>")
    rows = (out / "figures" / "collapse.csv").read_text().splitlines()
    assert rows == [
        "variant,run,epoch,collapse/equiangularity",
        f"{comparison.baseline},seed0,1,0.4",
        f"{comparison.baseline},seed0,2,0.3",
    ]


def test_numbers_behind_the_figures(finished):
    out, comparison = finished
    draw(out, comparison)
    with (out / "figures" / "classes.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 2 * len(comparison.classes)
    plain, ceco = rows[:2]
    assert (plain["variant"], plain["difference"]) == (comparison.baseline, "")
    gap = float(ceco["IoU seed 0"]) - float(plain["IoU seed 0"])
    assert float(ceco["difference"]) == pytest.approx(gap)
    with (out / "figures" / "cosines.csv").open(newline="") as lines:
        cosines = list(csv.DictReader(lines))
    assert [row["class"] for row in cosines] == 2 * comparison.classes
    first, second = comparison.classes[:2]
    assert cosines[0][second] == cosines[1][first]


def test_without_weights_the_page_says_what_is_missing(finished):
    out, comparison = finished
    (out / comparison.baseline / "seed0" / "model.safetensors").unlink()
    text = draw(out, comparison).read_text(encoding="utf-8")
    assert text.count("<figcaption>") == 2  # of numbers alone
    assert "No examples and no centers are shown" in text
    assert "no such weights" in text


def test_of_many_networks_the_baseline_and_the_best_on_the_tail_are_shown(finished):
    out, comparison = finished
    name = list(comparison.runs)[1]
    (run,) = comparison.runs[name]
    runs = dict(comparison.runs)
    for number, tail in enumerate((0.9, float("nan"), 0.7, 0.8)):
        runs[f"rival{number}"] = [run | {"test": run["test"] | {"tail": tail}}]
        (out / f"rival{number}").symlink_to(out / name)
    draw(out, dataclasses.replace(comparison, runs=runs))
    with (out / "figures" / "cosines.csv").open(newline="") as lines:
        shown = dict.fromkeys(row["network"] for row in csv.DictReader(lines))
    assert list(shown) == [comparison.baseline, "rival0", "rival2", "rival3"]
    assert "plain and the methods with the best tail" in (out / "report.html").read_text(
        encoding="utf-8"
    )


def test_a_copied_folder_without_weights_draws_the_same_page(finished, tmp_path_factory):
    out, comparison = finished
    page = draw(out, comparison).read_text(encoding="utf-8")
    copy = tmp_path_factory.mktemp("copy")
    for name in (COMPARISON, NETWORKS, EXAMPLES):
        (copy / name).write_bytes((out / name).read_bytes())
    again = draw_page(copy).read_text(encoding="utf-8")
    assert re.sub(_CLIP, "", again) == re.sub(_CLIP, "", page)


def test_examples_of_before_do_not_outlive_their_networks(finished):
    out, comparison = finished
    draw(out, comparison)
    assert (out / EXAMPLES).is_file()
    (out / comparison.baseline / "seed0" / "model.safetensors").unlink()
    draw(out, comparison)
    assert not (out / EXAMPLES).is_file()
    assert "no such weights" in NetworksRecord.load(out / NETWORKS).problem
