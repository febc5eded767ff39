"""One pass over labels: counts, worker processes and resuming."""

import json
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from equiseg.data import DataError
from equiseg.data.card_file import load_card
from equiseg.data.images.folder import ImageFolder
from equiseg.data.images.masks import MaskFolder
from equiseg.data.points.sample import PointSample
from equiseg.data.sample import Sample
from equiseg.data.statistics.counting import Counts, count_data
from equiseg.imbalance import ClassStatistics, ContextStatistics
from runs import write_street


class Masks:
    """Random masks in memory, of two sizes; some ids are known to be broken."""

    classes = ("a", "b", "c", "never")
    ignore_index = 255
    background = None

    def __init__(self, number=130, seed=0, broken=()):
        self.number, self.seed, self.broken, self.read = number, seed, set(broken), []

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        labels_HW = self.labels(index)
        return Sample(torch.zeros(3, *labels_HW.shape), labels_HW, f"mask {index}")

    def labels(self, index):
        self.read.append(index)
        if index in self.broken:
            raise DataError(f"mask {index}: damaged")
        rng = np.random.default_rng((self.seed, index))
        labels_HW = rng.integers(0, 3, (6, 5 + index % 2)).astype(np.uint8)
        labels_HW[0, 0] = 255
        return torch.from_numpy(labels_HW)


def test_counts_equal_the_sum_over_all_masks():
    masks = [Masks().labels(index) for index in range(130)]
    counts = count_data(Masks())
    assert counts.statistics.to_dict() == ClassStatistics.from_labels(masks, 4).to_dict()
    assert counts.context.to_dict() == ContextStatistics.from_labels(masks, 4).to_dict()
    assert counts.num_pixels == sum(mask.numel() for mask in masks)
    assert (counts.smallest, counts.largest) == ((6, 5), (6, 6))
    assert counts.statistics.num_images == 130


def test_workers_count_the_same():
    assert count_data(Masks(), num_workers=2).to_dict() == count_data(Masks()).to_dict()


def test_context_can_be_left_out():
    counts = count_data(Masks(3), context=False)
    assert counts.context is None
    assert counts.statistics.to_dict() == count_data(Masks(3)).statistics.to_dict()


def test_parts_add_up_and_survive_json():
    first, second = count_data(Masks(5)), count_data(Masks(4, seed=1))
    both = first + second
    assert both.statistics.num_images == both.context.num_images == 9
    assert both.num_pixels == first.num_pixels + second.num_pixels
    assert (Counts.zeros(4) + first).to_dict() == first.to_dict()
    assert Counts.from_dict(json.loads(json.dumps(both.to_dict()))).to_dict() == both.to_dict()


def test_counts_can_be_reduced_to_some_classes():
    counts = count_data(Masks(5))
    chosen = counts.of_classes([2, 0])
    assert chosen.statistics.pixels_K.tolist() == counts.statistics.pixels_K[[2, 0]].tolist()
    assert chosen.context.adjacency_KK[0, 1] == counts.context.adjacency_KK[2, 0]
    assert chosen.num_pixels == counts.num_pixels


def test_an_interrupted_pass_resumes(tmp_path):
    file = tmp_path / "new" / "progress.sqlite"

    def stopped(samples, what):
        yield from islice(samples, 40)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_data(Masks(), progress_file=file, track=stopped)
    rest, left = Masks(), []
    counts = count_data(
        rest, progress_file=file, track=lambda samples, what: left.append(samples) or samples
    )
    assert counts.to_dict() == count_data(Masks()).to_dict()
    assert left == [list(range(40, 130))]
    assert len(rest.read) == 130 - 40 + 5  # and five that identify the data


def test_progress_of_other_data_is_not_used(tmp_path):
    file = tmp_path / "progress.sqlite"
    count_data(Masks(), progress_file=file)
    for other, options in ((Masks(129), {}), (Masks(seed=1), {}), (Masks(), {"context": False})):
        counts = count_data(other, progress_file=file, **options)
        assert counts.to_dict() == count_data(other, **options).to_dict()
    file.write_text("{ no database")
    with pytest.warns(UserWarning, match="made anew"):
        counts = count_data(Masks(), progress_file=file)
    assert counts.to_dict() == count_data(Masks()).to_dict()


def test_all_broken_files_are_named_and_only_they_are_read_again(tmp_path):
    file = tmp_path / "progress.sqlite"
    with pytest.raises(DataError, match=r"cannot be used \(2\)") as error:
        count_data(Masks(broken=[1, 77]), progress_file=file)
    assert "mask 1: damaged" in str(error.value) and "mask 77: damaged" in str(error.value)
    mended = Masks()
    assert count_data(mended, progress_file=file).to_dict() == count_data(Masks()).to_dict()
    assert len(mended.read) == 2 + 5


def test_samples_with_invalid_labels_are_named():
    class Wrong(Masks):
        def labels(self, index):
            return torch.full((2, 2), 9 if index == 1 else 0)

    with pytest.raises(DataError, match="mask 1: labels must be class ids"):
        count_data(Wrong(3))


def test_images_are_not_decoded(tmp_path):
    write_street(tmp_path, ((40, 50), (32, 64)))
    image = tmp_path / "images" / "train" / "0.png"
    image.write_bytes(image.read_bytes()[:60])  # the header tells the size; no pixel is left
    data = ImageFolder(load_card(tmp_path / "street.yaml"), "train")
    with pytest.raises(DataError):
        data[0]
    counts = count_data(data)
    assert counts.num_pixels == 40 * 50 + 32 * 64
    assert (counts.smallest, counts.largest) == ((32, 50), (40, 64))


def test_points_are_counted_and_voxels_are_neighbours():
    class Scans:
        classes, ignore_index, background, groups = ("a", "b"), 255, None, None
        channels, voxel_size = ("one",), 1.0

        def __len__(self):
            return 1

        def __getitem__(self, index):
            # Three voxels in a row: a (two of three points), b, unlabelled; and one apart: b.
            x_N = [0.1, 0.2, 0.3, 1.5, 2.5, 9.5]
            xyz_N3 = torch.tensor([[x, 0.5, 0.5] for x in x_N])
            labels_N = torch.tensor([0, 0, 1, 1, 255, 1])
            return PointSample(xyz_N3, torch.ones(6, 1), labels_N, "scan")

    counts = count_data(Scans())
    assert counts.statistics.pixels_K.tolist() == [2, 3]
    assert counts.context.regions_K.tolist() == [1, 2]
    assert counts.context.adjacency_KK.tolist() == [[0, 1], [1, 0]]
    assert (counts.num_pixels, counts.largest) == (6, (6,))


def test_masks_are_counted_anew_for_other_ignored_values(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(6):
        mask = np.full((8, 8), index % 3, np.uint8)
        Image.fromarray(mask).save(folder / f"{index}.png")
    for ignored, counted in (([255], [128, 128, 128]), ([2], [128, 128, 0])):
        counts = count_data(MaskFolder(folder, ignored))
        assert counts.statistics.pixels_K[:3].tolist() == counted
