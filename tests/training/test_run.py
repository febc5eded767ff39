import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from equiseg.data.config import DataConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.runs.weights import load_weights
from equiseg.training.config import ModelConfig, OptimizerConfig
from equiseg.training.config_file import read_config
from equiseg.training.lightning_task import SegmentationTask
from equiseg.training.run import train
from runs import tiny_config, write_street


def test_a_run_writes_all_promised_files(finished_run: Path):
    for name in ("config.yaml", "model.safetensors", "result.json", "checkpoints/last.ckpt"):
        assert (finished_run / name).is_file(), name
    result = json.loads((finished_run / "result.json").read_text())
    assert len(result["classes"]) == 6
    for split in ("val", "test"):
        assert 0 <= result[split]["miou"] <= 1
        assert len(result[split]["iou"]) == 6
        assert result[split]["collapse"]["num_present"] >= 2
        assert 0 <= result[split]["ece"] <= 1
        bins = result[split]["calibration"]
        assert sum(bins["correct"]) == pytest.approx(
            result[split]["pixel_accuracy"] * sum(bins["count"])
        )
    assert result["memory_of"] in ("cuda", "fit", "process")
    assert 1e6 < result["peak_memory_bytes"] < 1e12
    header = (finished_run / "logs/version_0/metrics.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "loss/cross_entropy", "loss/center_collapse", "val/miou", "val/tail"} <= set(
        header
    )


def test_the_saved_configuration_is_the_one_that_ran(finished_run: Path):
    assert read_config(finished_run / "config.yaml") == tiny_config()


def test_saved_weights_predict_without_the_branch(finished_run: Path):
    model, card = load_weights(finished_run)
    assert card.model == "fpn-small"
    assert not any("frame" in name for name in model.state_dict())
    assert model(torch.rand(1, 3, 48, 64)).shape == (1, 6, 12, 16)


def test_a_finished_run_is_not_trained_again(finished_run: Path):
    before = (finished_run / "model.safetensors").stat().st_mtime_ns
    result = train(tiny_config(), finished_run)
    assert result["seed"] == 0
    assert (finished_run / "model.safetensors").stat().st_mtime_ns == before


def test_another_configuration_is_refused(finished_run: Path):
    with pytest.raises(ValueError, match="another configuration"):
        train(tiny_config(epochs=3), finished_run)


def test_an_interrupt_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(SegmentationTask, "training_step", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(), tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning switches it off


@pytest.mark.parametrize(
    ("method", "num_workers"), [("ceco", 0), ("ceco_published", 0), ("ceco_published", 2)]
)
def test_a_resumed_run_equals_an_uninterrupted_run(
    method: str, num_workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tiny_config(epochs=3, method=method)
    config = replace(config, data=replace(config.data, num_workers=num_workers))
    train(config, tmp_path / "whole")

    def stop(task: SegmentationTask) -> None:
        if task.current_epoch == 2:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "on_train_epoch_start", stop)
        with pytest.raises(RuntimeError, match="power cut"):
            train(config, tmp_path / "cut")
    train(config, tmp_path / "cut")

    whole, cut = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "cut")
    )
    assert whole.keys() == cut.keys()
    for name in whole:
        assert torch.equal(whole[name], cut[name]), name


def test_a_seed_gives_the_same_run(finished_run: Path, tmp_path: Path):
    train(tiny_config(), tmp_path)
    first, second = (load_file(p / "model.safetensors") for p in (finished_run, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_kept_views_need_frozen_stages(tmp_path: Path):
    config = tiny_config(model=ModelConfig(keep_views=2))
    with pytest.raises(ValueError, match="keep_views=2 needs frozen stages"):
        train(config, tmp_path)


def test_kept_views_leave_frozen_stages_as_they_are(tmp_path: Path):
    config = tiny_config(model=ModelConfig(freeze=2, keep_views=2))
    train(config, tmp_path)
    trained = load_file(tmp_path / "model.safetensors")
    assert float(trained["encoder.stem.1.running_mean"].abs().sum()) == 0
    assert float(trained["encoder.stages.2.0.1.running_mean"].abs().sum()) > 0


def test_sgd_and_early_stopping(tmp_path: Path):
    config = tiny_config(epochs=6, patience=1, method="cross_entropy")
    config = replace(config, optimizer=OptimizerConfig("sgd", lr=0.0, warmup=0.0))
    train(config, tmp_path)  # nothing learns, so nothing gets better
    last = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] + 1 < 6


def test_images_of_several_sizes_need_a_size_or_a_crop(tmp_path: Path):
    write_street(tmp_path / "data", sizes=((40, 50), (48, 64)))
    data = DataConfig(card=str(tmp_path / "data/street.yaml"))
    with pytest.raises(ValueError, match=r"2 sizes \(from \(40, 50\) to \(48, 64\)\)"):
        train(tiny_config(data=data, batch_size=2), tmp_path / "run")
    cropped = replace(data, augment=AugmentConfig(crop=(32, 32)))
    result = train(tiny_config(data=cropped, batch_size=2, epochs=1), tmp_path / "cropped")
    assert "val" in result
    assert "test" not in result  # the card has none


def test_a_run_that_diverges_stops_and_says_so(tmp_path: Path):
    config = tiny_config(optimizer=OptimizerConfig("sgd", lr=1e30, warmup=0.0, clip=0.0))
    told = r"loss is NaN or infinite in epoch 1; the first NaN or infinite .* encoder\.\S+\..*lower"
    with pytest.raises(ValueError, match=rf"(?i){told}"):
        train(config, tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_weights_that_are_no_numbers_reach_no_checkpoint(tmp_path: Path, monkeypatch):
    def overflow(task: SegmentationTask) -> None:
        if task.current_epoch == 1:  # as a last step may, after the loss of the epoch is known
            task.model.classifier.bias.data[0] = float("inf")

    monkeypatch.setattr(SegmentationTask, "on_train_epoch_end", overflow)
    with pytest.raises(ValueError, match=r"weights of classifier\.bias are .*after epoch 2; last"):
        train(tiny_config(), tmp_path)
    for name in ("last.ckpt", "best.ckpt"):
        kept = torch.load(tmp_path / "checkpoints" / name, weights_only=True)
        assert kept["epoch"] == 0


def test_a_checkpoint_of_another_configuration_is_refused(finished_run: Path, tmp_path: Path):
    """Also where config.yaml is gone."""
    shutil.copytree(finished_run / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(ValueError, match=r"last\.ckpt holds .* configuration \(epochs is 2 there"):
        train(tiny_config(epochs=3), tmp_path)


def test_the_last_epoch_must_be_validated():
    with pytest.raises(ValueError, match="epochs must be a multiple of val_every=2"):
        tiny_config(epochs=3, val_every=2)
