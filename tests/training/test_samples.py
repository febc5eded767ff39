"""Training samples as configured, and what was drawn, from the configuration to result.json."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from equiseg.data.config import DataConfig, PointsConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.loading import EpochSampler, TrainingView
from equiseg.data.points.training_view import PointCropConfig
from equiseg.data.points.transforms import PointAugmentConfig
from equiseg.data.sampling import SamplingConfig
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.training.augmented_shares import drawn_shares, drawn_table
from equiseg.training.config import ModelConfig
from equiseg.training.config_file import read_config, write_config
from equiseg.training.frozen_views import KeptViews
from equiseg.training.opened_data import open_data
from equiseg.training.run import train
from equiseg.training.samples import training_samples
from equiseg.training.task import SegmentationTask
from runs import tiny_config, write_street

SCENES = tiny_config().data
# Of six classes all are nearly everywhere: a median threshold would repeat nothing.
RARE = SamplingConfig(by="rare_class")
CROPPED = AugmentConfig(crop=(16, 16), rare=0.5, paste=0.5)
ROOMS = DataConfig(
    card="scans",
    synthetic=SyntheticConfig(scans=ScansConfig(num_classes=8, points=1500), num_samples=(8, 2, 2)),
)


def opened(data: DataConfig, **changes):
    """Configuration, data, training samples and network."""
    config = tiny_config(data=data, **changes)
    found = open_data(config.data)
    task = SegmentationTask(config, found.spec, found.statistics, found.groups)
    samples = training_samples(config, task.model, found, lambda items, _: items)
    return config, found, samples, task.model


def shares(config, data, samples):
    return drawn_shares(config, data, samples, lambda items, _: items)


def test_without_sampling_no_shares_are_reported():
    config, data, samples, _ = opened(SCENES)
    assert isinstance(samples.views, TrainingView)
    assert samples.counts_SK is samples.draws_S is None
    assert shares(config, data, samples) is None


def test_shares_of_drawn_images_are_exact():
    config, data, samples, _ = opened(replace(SCENES, sampling=RARE))
    found = shares(config, data, samples)
    assert found["draws"] is None
    masks = [data.splits["train"][index].labels for index in range(12)]
    counts_SK = torch.stack([torch.bincount(mask.flatten(), minlength=6) for mask in masks])
    assert torch.equal(samples.counts_SK, counts_SK)
    pixels_K = samples.draws_S @ counts_SK.double()
    assert found["drawn"]["pixels"] == pytest.approx((pixels_K / pixels_K.sum()).tolist())
    assert found["labelled"]["pixels"] == pytest.approx(
        (counts_SK.sum(0) / counts_SK.sum()).tolist(), rel=1e-5
    )
    assert sum(found["drawn"]["images"]) > sum(found["labelled"]["images"])


@pytest.mark.parametrize("keep_views", [0, 2])
def test_shares_of_crops_are_measured_on_what_is_trained_on(keep_views: int):
    model = ModelConfig(freeze=2 if keep_views else 0, keep_views=keep_views)
    data = replace(SCENES, augment=CROPPED)
    config, found, samples, network = opened(data, model=model)
    measured = shares(config, found, samples)
    assert measured["draws"] == 12
    assert sum(measured["drawn"]["pixels"]) == pytest.approx(1)
    if keep_views:  # kept views are those of the first draws, with their labels
        assert isinstance(samples.views, KeptViews)
        plain = opened(data)[2].views
        for key in (3, 12 + 3):
            assert torch.equal(samples.views[key][1], plain[key][1])
            maps = network.encoder.eval().frozen_maps(plain[key][0][None], 2)
            kept = samples.views[key][0]
            assert all(
                torch.equal(a, b[0].bfloat16().float()) for a, b in zip(kept, maps, strict=True)
            )


def test_a_repeat_trains_on_another_kept_view():
    model = ModelConfig(freeze=2, keep_views=2)
    views = opened(SCENES, model=model)[2].views
    assert not torch.equal(views[3][1], views[12 + 3][1])
    assert torch.equal(views[3][1], views[24 + 3][1])


@pytest.mark.parametrize("keep_views", [0, 2])
def test_a_run_measures_and_trains_on_what_the_sampler_draws(
    keep_views: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = ModelConfig(freeze=2 if keep_views else 0, keep_views=keep_views)
    changes = {"data": replace(SCENES, sampling=RARE, augment=CROPPED), "model": model, "seed": 3}
    config, _, samples, _ = opened(**changes)
    keys: list[int] = []

    class Noted(type(samples.views)):
        def __getitem__(self, key):
            keys.append(key)
            return super().__getitem__(key)

    monkeypatch.setattr(f"equiseg.training.samples.{type(samples.views).__name__}", Noted)
    train(config, tmp_path)
    sampler = EpochSampler(12, 3, draws_S=samples.draws_S)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    assert keys == epochs[0] + epochs[0] + epochs[1]  # measured, then trained on
    assert sorted(key % 12 for key in epochs[0]) != list(range(12))


@pytest.mark.parametrize("data", [SCENES, ROOMS], ids=["images", "scans"])
def test_changes_follow_the_seed_of_the_run(data: DataConfig):
    one, again, other = (opened(data, seed=seed)[2].views[0] for seed in (1, 1, 2))
    assert torch.equal(one[0], again[0])
    assert one[0].shape != other[0].shape or not torch.equal(one[0], other[0])


def test_second_scans_are_drawn_by_the_sampler_and_so_shares_are_measured():
    mixed = replace(ROOMS, points=PointsConfig(augment=PointAugmentConfig(mix=1.0)))
    config, data, samples, _ = opened(replace(mixed, sampling=RARE))
    assert torch.equal(samples.views.draws_S, samples.draws_S)
    assert shares(config, data, samples)["draws"] == 8
    assert opened(mixed)[2].views.draws_S is None


def test_scans_are_drawn_by_class_too():
    config, data, samples, _ = opened(replace(ROOMS, sampling=RARE))
    found = shares(config, data, samples)
    assert found["draws"] is None
    assert samples.draws_S.sum().item() == pytest.approx(8)
    by_crop = replace(ROOMS, points=PointsConfig(crop=PointCropConfig("sphere", 1.0, rare=0.5)))
    config, data, samples, _ = opened(by_crop)
    found = shares(config, data, samples)
    assert found["draws"] == 8
    rarest = found["labelled"]["pixels"].index(min(found["labelled"]["pixels"]))
    assert found["drawn"]["pixels"][rarest] > found["labelled"]["pixels"][rarest]


def test_the_table_names_every_class_once():
    one, two = {"pixels": [0.2, 0.8, 0], "images": [1, 1, 0]}, {"pixels": [0.4, 0.6, 0]}
    found = {"labelled": one, "drawn": two | {"images": [1, 1, 0]}, "draws": 7}
    buffer = io.StringIO()
    Console(file=buffer, width=100).print(drawn_table(found, ("a", "b", "c"), of_points=False))
    lines = [line.split() for line in buffer.getvalue().splitlines()]
    assert "measured on 7 draws" in buffer.getvalue()
    rows = [[cell for cell in line if cell != "│"] for line in lines if line and line[0] == "│"]
    assert rows == [
        ["b", "80", "60", "0.75", "100", "100"],
        ["a", "20", "40", "2.00", "100", "100"],
        ["c", "0", "0", "–", "0", "0"],
    ]


def test_a_run_says_what_it_drew_and_keeps_it(tmp_path: Path):
    buffer = io.StringIO()
    data = replace(SCENES, sampling=RARE, augment=CROPPED)
    config = tiny_config(data=data, epochs=1)
    train(config, tmp_path, Console(file=buffer, width=120))
    assert "as labelled and as drawn" in buffer.getvalue()
    drawn = json.loads((tmp_path / "result.json").read_text())["drawn"]
    assert drawn["draws"] == 12
    assert len(drawn["drawn"]["pixels"]) == 6
    assert read_config(tmp_path / "config.yaml") == config


def test_a_resumed_run_draws_the_samples_of_an_uninterrupted_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tiny_config(epochs=3, data=replace(SCENES, sampling=RARE))
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
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_configurations_come_back_from_their_file(tmp_path: Path):
    sampling = SamplingConfig(by="repeat_factor", threshold=0.3)
    config = tiny_config(data=replace(SCENES, sampling=sampling, augment=CROPPED))
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config


def test_rare_crops_of_the_whole_image_are_refused():
    whole = r"data\.augment\.rare has no effect where the crop is the whole image, got 0\.5 .*\(48"
    for augment in (
        AugmentConfig(scale=(0.5, 1.0), rare=0.5),
        AugmentConfig(crop=(96, 128), scale=(0.5, 2.0), rare=0.5),
    ):
        with pytest.raises(ValueError, match=whole):
            opened(replace(SCENES, augment=augment))
    opened(replace(SCENES, augment=AugmentConfig(scale=(1.0, 1.5), rare=0.5)))


def test_a_rare_crop_need_only_be_a_part_of_some_images(tmp_path: Path):
    write_street(tmp_path, sizes=((40, 50), (48, 64)))

    def cropped(*crop: int) -> DataConfig:
        augment = AugmentConfig(crop=crop, scale=(0.5, 1.0), rare=0.5)
        return DataConfig(card=str(tmp_path / "street.yaml"), augment=augment)

    opened(cropped(40, 50), batch_size=2)  # the whole of the small one, a part of the large one
    with pytest.raises(ValueError, match=r"where the crop is the whole image, .*up to \(48, 64\)"):
        opened(cropped(48, 64), batch_size=2)


def test_sampling_that_crops_override_is_refused():
    crop = PointCropConfig("sphere", 1.0, rare=1.0)
    with pytest.raises(ValueError, match=r"data\.sampling\.by has no effect where .* got 'rare_cl"):
        replace(ROOMS, sampling=RARE, points=PointsConfig(crop=crop))
    with pytest.raises(ValueError, match=r"data\.augment is for images"):
        train(tiny_config(data=replace(ROOMS, augment=AugmentConfig(paste=0.5))), Path("unused"))


def test_kept_views_are_for_images():
    with pytest.raises(ValueError, match=r"model\.keep_views is for images, got 2; use 0"):
        opened(ROOMS, model=ModelConfig(keep_views=2))
