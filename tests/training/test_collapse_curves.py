"""CollapseCurves: in our runs and in a Lightning module of one's own."""

import json
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from equiseg import CollapseMetric
from equiseg.records.history import read_history
from equiseg.training.collapse_curves import CollapseCurves

K, D = 5, 6


class OwnModule(L.LightningModule):
    """A user's own: batches of (images, labels), a network that is not ours."""

    def __init__(self, kernel_size: int = 1) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, D, 3, stride=2, padding=1)
        self.head = nn.Conv2d(D, K, kernel_size, padding=kernel_size // 2)

    def validation_step(self, batch, batch_index):
        images, labels = batch
        logits = F.interpolate(self.head(self.encoder(images)), labels.shape[1:], mode="bilinear")
        self.log("val_loss", F.cross_entropy(logits, labels, ignore_index=255))


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(5, 3, 12, 12, generator=generator)
    labels = torch.randint(0, K, (5, 12, 12), generator=generator)
    labels[0, :3] = 255
    return TensorDataset(images, labels)


def validated(module, callback):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        accelerator="cpu", callbacks=[callback], enable_model_summary=False, **quiet
    )
    trainer.validate(module, DataLoader(data(), batch_size=2), verbose=False)
    return trainer.callback_metrics


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_lightning_module_of_a_user_is_measured():
    module = OwnModule()
    logged = validated(module, CollapseCurves(K))
    metric = CollapseMetric(K, D, classifier=module.head)
    images, labels = data().tensors
    metric.update(module.encoder(images), labels)
    expected = metric.compute().numbers()
    seen = {name.removeprefix("collapse/"): float(value) for name, value in logged.items()}
    assert seen.keys() - {"val_loss"} == expected.keys()
    for name, value in expected.items():
        assert seen[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_classifier_of_neighbourhoods_has_no_rows():
    logged = validated(OwnModule(kernel_size=3), CollapseCurves(K, "head"))
    assert logged["collapse/equinorm"] > 0
    assert not any("classifier" in name for name in logged)
    assert torch.isnan(logged["collapse/self_duality"])


def test_a_run_logs_curves_that_end_where_its_evaluation_does(finished_run: Path):
    history = read_history(finished_run)
    result = json.loads((finished_run / "result.json").read_text())
    curve = history["collapse/equiangularity"]
    measured = result["val"]["collapse"]["equiangularity"]
    assert curve[result["best_epoch"]] == pytest.approx(measured, rel=1e-3)
    assert set(curve) == set(history["val/miou"])


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_some_validations_can_be_left_out_but_the_last():
    class Trained(OwnModule):
        def training_step(self, batch, batch_index):
            return self.head(self.encoder(batch[0])).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    class Measured(CollapseCurves):
        epochs: list[int] = []

        def on_validation_epoch_end(self, trainer, task):
            if self.is_measuring:
                self.epochs.append(trainer.current_epoch)
            super().on_validation_epoch_end(trainer, task)

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=7,
        callbacks=[Measured(K, every=3)],
        num_sanity_val_steps=0,
        enable_model_summary=False,
        **quiet,
    )
    trainer.fit(Trained(), DataLoader(data(), 5), DataLoader(data(), 5))
    assert Measured.epochs == [0, 3, 6]


def test_a_step_below_one_is_refused():
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        CollapseCurves(K, every=0)
