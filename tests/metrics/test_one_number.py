"""One number of a metric in ``self.log`` of Lightning: over epochs, resets and ranks."""

import copy
import logging
import pickle
import warnings
from datetime import timedelta

import lightning as L
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from equiseg import SegmentationScore
from equiseg.metrics import CalibrationError

K = 4


def labels_of(images):
    """Ids that a network of three channels can learn, a little."""
    return (images.mean(1) * K).long().clamp(0, K - 1)


class Task(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Conv2d(3, K, 1)
        self.score = SegmentationScore(K)
        self.miou, self.tail = self.score.number("miou"), self.score.number("tail")
        self.seen = SegmentationScore(K)
        self.seen_accuracy = self.seen.number("pixel_accuracy")
        self.steps, self.expected = [], []
        self.counted = SegmentationScore(K)

    def training_step(self, images, index):
        logits = self.net(images)
        batch = self.seen(logits, labels_of(images))
        self.log("accuracy", self.seen_accuracy, on_step=True, on_epoch=True)
        self.steps.append(batch.pixel_accuracy)
        return torch.nn.functional.cross_entropy(logits, labels_of(images))

    def validation_step(self, images, index):
        self.score.update(self.net(images), labels_of(images))
        self.counted.update(self.net(images), labels_of(images))
        self.log("miou", self.miou, prog_bar=True)
        self.log("tail", self.tail)

    def on_validation_epoch_end(self):
        self.expected.append(self.counted.compute())
        self.counted.reset()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1.0)


class Logged(L.Callback):
    def __init__(self):
        self.of_epochs, self.of_steps = [], []

    def on_validation_end(self, trainer, task):
        self.of_epochs.append({n: float(v) for n, v in trainer.callback_metrics.items()})

    def on_train_batch_end(self, trainer, *_):
        self.of_steps.append(float(trainer.logged_metrics["accuracy_step"]))


def test_lightning_logs_and_resets_numbers_of_one_metric():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(0)
    data = torch.utils.data.DataLoader(torch.rand(6, 3, 8, 8), 2)
    task, logged = Task(), Logged()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = L.Trainer(
        max_epochs=3, accelerator="cpu", callbacks=[logged], log_every_n_steps=1, **quiet
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*before the ``update`` method.*")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(task, data, data)
    assert [epoch["miou"] for epoch in logged.of_epochs] == [
        pytest.approx(score.miou, abs=1e-7) for score in task.expected
    ]
    assert [epoch["tail"] for epoch in logged.of_epochs] == [
        pytest.approx(score.tail, abs=1e-7, nan_ok=True) for score in task.expected
    ]
    assert len({epoch["miou"] for epoch in logged.of_epochs}) > 1  # each epoch has its own
    assert logged.of_steps == pytest.approx(task.steps, abs=1e-7)
    of_last_epoch = sum(task.steps[-3:]) / 3  # batches of one size: the mean is that of the epoch
    assert float(trainer.callback_metrics["accuracy_epoch"]) == pytest.approx(of_last_epoch)
    assert not task.score.update_called  # Lightning has reset it


def test_a_number_follows_its_metric():
    score = SegmentationScore(3, groups={"head": [0], "common": [1], "tail": [2]})
    miou = score.number("miou")
    labels = torch.tensor([[0, 0, 1, 2]])
    score.update(labels, labels)
    assert miou.compute() == 1
    assert miou.compute().dtype is torch.float32
    score.update(torch.zeros_like(labels), labels)
    assert float(miou.compute()) == pytest.approx(score.compute().miou)
    miou.reset()
    assert not score.update_called
    assert score.confusion_KK.sum() == 0


def test_copies_keep_number_and_metric_together():
    holder = torch.nn.ModuleDict({"score": SegmentationScore(2)})
    holder["miou"] = holder["score"].number("miou")
    for made in (copy.deepcopy(holder), pickle.loads(pickle.dumps(holder)), holder.to("cpu")):
        made["score"].update(torch.tensor([0, 1]), torch.tensor([0, 1]))
        assert made["miou"].source is made["score"]
        assert made["miou"].compute() == 1
        assert not made["miou"].state_dict()


def test_numbers_of_calibration():
    error = CalibrationError(2)
    ece = error.number("ece")
    error.update(torch.tensor([[[2.0, -1.0]], [[0.0, 3.0]]]).movedim(0, 1), torch.tensor([[0, 0]]))
    assert float(ece.compute()) == pytest.approx(error.compute().ece)


def test_what_cannot_be_is_refused():
    score = SegmentationScore(2)
    with pytest.raises(ValueError, match=r"has no number 'iou'; it has miou, mean_accuracy"):
        score.number("iou")
    miou = score.number("miou")
    score.update(torch.tensor([0, 1]), torch.tensor([0, 1]))
    for use in (miou.update, miou):
        with pytest.raises(TypeError, match="update the SegmentationScore itself"):
            use(torch.tensor([0]), torch.tensor([0]))
    assert miou.compute() == 1  # nothing was lost by it


def number_on_a_rank(rank, folder):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
        timeout=timedelta(minutes=2),
    )  # fmt: skip
    score = SegmentationScore(2)
    accuracy = score.number("pixel_accuracy")
    for _ in range(1 + rank):
        score.update(torch.tensor([0, rank]), torch.tensor([0, 0]))
    torch.save(
        (accuracy.compute(), accuracy.compute(), score.confusion_KK.sum()), f"{folder}/{rank}.pt"
    )
    dist.destroy_process_group()


def test_ranks_see_the_number_of_all_ranks(tmp_path):
    mp.start_processes(number_on_a_rank, (str(tmp_path),), nprocs=2, start_method="spawn")
    for rank in range(2):
        first, again, own = torch.load(tmp_path / f"{rank}.pt")
        assert first == again == pytest.approx(4 / 6)  # rank 0: 2 of 2; rank 1: 2 of 4
        assert own == 2 * (1 + rank)  # and each keeps its own sums
