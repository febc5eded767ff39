import json
import shutil

import pytest
import torch

from diagnoses import TinyNetwork
from equiseg import commands
from equiseg.commands import DiagnoseOptions
from runs import write_street

# An own network: a function that is given the path and makes logits of images in [0, 1].
OWN = """
import torch
from diagnoses import TinyNetwork

def load(path):
    network = TinyNetwork(num_classes=3)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network

def unfinished(path):
    return {"weights": path}
"""
# One of transformers: normalised as its training was, and the logits taken from its output.
TRANSFORMERS = """
import torch
from transformers import SegformerForSemanticSegmentation

class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        mean = images.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        std = images.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        return self.model((images - mean) / std).logits

def load(folder):
    return Logits(SegformerForSemanticSegmentation.from_pretrained(folder))

def outputs(folder):
    return SegformerForSemanticSegmentation.from_pretrained(folder)
"""


def diagnose(run, data=None, **options):
    commands.diagnose(run, DiagnoseOptions(data=data, **options))


@pytest.fixture
def street(tmp_path):
    write_street(tmp_path / "street", ((48, 64), (40, 40)))
    return str(tmp_path / "street" / "street.yaml")


@pytest.fixture
def own(tmp_path):
    """A checkpoint of a network that equiseg does not know, and the file that loads it."""
    torch.save(TinyNetwork(num_classes=3).state_dict(), tmp_path / "net.pt")
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "net.pt", f"{tmp_path / 'own.py'}:load"


def test_a_run_gets_a_page_of_its_own_and_the_baseline_beside(finished_run, tmp_path, capsys):
    run = tmp_path / finished_run.name
    shutil.copytree(finished_run, run)
    diagnose(run, baseline=finished_run, samples=3)
    out = run / "diagnosis"
    files = {file.name for file in (out / "figures").iterdir()}
    names = ("classes", "reliability", "centers", "classifier", "frequency", "gradients")
    names += ("collapse", "examples")
    assert {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")} == files
    known = json.loads((out / "diagnosis.json").read_text())
    result = json.loads((finished_run / "result.json").read_text())
    assert known["training_pixels"] == result["pixels"]
    assert known["num_samples"] == 3
    assert known["miou"] == known["baseline"]["miou"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert str(finished_run) in page  # two runs of one name are called by their paths
    printed = capsys.readouterr().out
    assert "neural collapse" in printed
    assert "Pearson r" in printed
    assert "closest" in printed


def test_machines_get_json_and_no_files(finished_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    diagnose(run, json=True)
    known = json.loads(capsys.readouterr().out)
    result = json.loads((run / "result.json").read_text())
    assert known["miou"] == pytest.approx(result["test"]["miou"])
    assert known["collapse"]["equiangularity"] == pytest.approx(
        result["test"]["collapse"]["equiangularity"]
    )
    assert known["collapse"]["nearest_center_agreement"] is not None
    assert not (run / "diagnosis").exists()


def test_weights_are_read_with_the_configuration_beside_them(finished_run, tmp_path, capsys):
    diagnose(finished_run / "model.safetensors", json=True)
    assert json.loads(capsys.readouterr().out)["data"] == "pictures"
    shutil.copy(finished_run / "model.safetensors", tmp_path)
    with pytest.raises(ValueError, match="data must be named"):
        diagnose(tmp_path / "model.safetensors", json=True)


def test_a_network_of_ones_own(own, street, tmp_path):
    path, loader = own
    diagnose(path, street, split="val", loader=loader, out=tmp_path / "out")
    known = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert known["classes"] == ["road", "car", "sign"]
    assert sum(known["training_pixels"]) == 48 * 64 + 40 * 40  # as counted in train
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "counted in the train split" in page


def test_a_network_of_transformers(street, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        num_labels=3,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=16,
    )
    saved = tmp_path / "segformer"
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(saved)
    (tmp_path / "hub.py").write_text(TRANSFORMERS)
    loader = f"{tmp_path / 'hub.py'}:load"
    diagnose(saved, street, split="val", loader=loader, out=tmp_path / "out")
    known = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert set(known["gradients"]) == {"pixel cross entropy", "center branch"}
    with pytest.raises(ValueError, match=r"got SemanticSegmenterOutput; .* output.logits"):
        diagnose(saved, street, split="val", loader=f"{tmp_path / 'hub.py'}:outputs", json=True)
    with pytest.raises(ValueError, match=r"--loader file\.py:function"):
        diagnose(saved, street, split="val", json=True)


def test_scans(tmp_path, capsys):
    from equiseg.data.config import DataConfig
    from equiseg.data.synthetic.config import SyntheticConfig
    from equiseg.data.synthetic.scans.config import ScansConfig
    from equiseg.training.config import TrainConfig
    from equiseg.training.run import train

    synthetic = SyntheticConfig(scans=ScansConfig(num_classes=8), num_samples=(2, 1, 1))
    data = DataConfig(card="scans", synthetic=synthetic)
    train(TrainConfig(data=data, epochs=1, batch_size=1, threads=1), tmp_path / "run")
    diagnose(tmp_path / "run")
    known = json.loads((tmp_path / "run" / "diagnosis" / "diagnosis.json").read_text())
    assert sum(known["training_points"]) > 0
    assert (tmp_path / "run" / "diagnosis" / "figures" / "gradients.csv").is_file()


def test_what_cannot_be_looked_into_is_said(own, street, finished_run, tmp_path):
    path, loader = own
    given = {"split": "val", "loader": loader, "json": True}
    with pytest.raises(ValueError, match="no split 'test', only"):
        diagnose(path, street, **given | {"split": "test"})
    with pytest.raises(ValueError, match="tells 3 classes apart, the data have 20"):
        diagnose(path, "scenes", **given)
    with pytest.raises(ValueError, match="has 3"):
        diagnose(finished_run, street, split="val", json=True)
    with pytest.raises(ValueError, match="layer='tail' fits none"):
        diagnose(path, street, layer="tail", **given)
    with pytest.raises(ValueError, match="out must name a folder"):
        diagnose(path, street, **given | {"json": False})
    with pytest.raises(ValueError, match="got scans, which holds scans"):
        diagnose(path, "scans", **given)


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ("own.py", "no 'py' in own"),
        ("nowhere.py:load", "no file"),
        ("own.py:missing", "no 'missing' in own.py"),
        ("own.py:unfinished", "must return a torch.nn.Module, got dict"),
    ],
)
def test_loaders_that_cannot_load(loader, message, own, street, monkeypatch):
    path, _ = own
    monkeypatch.chdir(path.parent)
    with pytest.raises(ValueError, match=message):
        diagnose(path, street, loader=loader, json=True)
