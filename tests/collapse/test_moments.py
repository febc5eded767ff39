"""Moments of the classes of a whole data set, gathered batch by batch."""

import itertools
import multiprocessing
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from equiseg import class_centers
from equiseg.collapse import ClassMoments
from maps import K, LargestTensor, batch, both_conventions, every_size
from reference.slow_moments import cells_by_class, covariance, pixels_by_class

D = 3
both_resolutions = pytest.mark.parametrize("resolution", ["label", "feature"])


def gathered(batches, num_classes=K, resolution="label", ignore_index=255, **options):
    moments = ClassMoments.zeros(num_classes, D, ignore_index=ignore_index, resolution=resolution)
    for features, labels in batches:
        moments.update(features, labels, **options)
    return moments


def assert_near(actual, expected):
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=1e-10, atol=1e-10)


def assert_same(moments, other):
    assert torch.equal(moments.counts_K, other.counts_K)
    assert_near(moments.sums_KD, other.sums_KD)
    assert_near(moments.squares_KDD, other.squares_KDD)


def assert_moments_of(moments, rows_of):
    """The moments are those of the lists of pixels, one list a class."""
    assert moments.counts_K.tolist() == [len(rows) for rows in rows_of]
    assert moments.present_K.tolist() == [len(rows) > 0 for rows in rows_of]
    for k, rows in enumerate(rows_of):
        if len(rows):
            assert_near(moments.centers_KD[k], rows.mean(0))
            assert_near(moments.variances_K[k], rows.var(0).sum())
        else:
            assert not moments.centers_KD[k].any()
            assert moments.variances_K[k].isnan()
    present = [rows for rows in rows_of if len(rows)]
    covariances = [covariance(rows) for rows in present]
    assert_near(moments.within_DD(), np.mean(covariances, 0))
    sizes = [len(rows) for rows in present]
    assert_near(moments.within_DD("pixel"), np.average(covariances, 0, weights=sizes))
    assert_near(moments.between_DD(), covariance(np.stack([rows.mean(0) for rows in present])))


@both_conventions
@every_size
def test_moments_equal_the_moments_of_resized_features(sizes, align_corners):
    features, labels = batch(*sizes, channels=D, dtype=torch.float64)
    moments = gathered([(features, labels)], align_corners=align_corners)
    assert not moments.present_K[K - 1]
    assert_moments_of(moments, pixels_by_class(features, labels, K, align_corners=align_corners))


@both_conventions
@every_size
def test_at_feature_resolution_cells_count_with_the_weight_of_the_class(sizes, align_corners):
    features, labels = batch(*sizes, channels=D, dtype=torch.float64)
    moments = gathered([(features, labels)], resolution="feature", align_corners=align_corners)
    same_centers = gathered([(features, labels)], align_corners=align_corners)
    assert_near(moments.centers_KD, same_centers.centers_KD)
    cells = cells_by_class(features, labels, K, align_corners=align_corners)
    covariances = [covariance(*cells[k]) for k in range(K - 1)]
    assert_near(moments.within_DD(), np.mean(covariances, 0))
    assert_near(moments.variances_K[: K - 1], np.trace(covariances, axis1=1, axis2=2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_of_any_precision_are_summed_in_float64(dtype):
    features, labels = batch((3, 5), (7, 11), channels=D, dtype=dtype)
    assert_moments_of(gathered([(features, labels)]), pixels_by_class(features, labels, K))


def test_autocast_does_not_reach_the_sums():
    features, labels = batch((3, 5), (7, 11), channels=D)
    with torch.autocast("cpu", torch.bfloat16):
        moments = gathered([(features, labels)])
        assert_moments_of(moments, pixels_by_class(features, labels, K))


@both_resolutions
def test_points_and_voxels(resolution):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, D, generator=generator)
    labels = torch.arange(50) % 4 - 1
    options = {"ignore_index": -1, "resolution": resolution}
    moments = gathered([(features, labels)], **options)
    assert moments.counts_K.tolist() == [13, 12, 12, 0]
    assert_moments_of(moments, pixels_by_class(features, labels, K, ignore_index=-1))
    inverse = torch.randint(0, 50, (200,), generator=generator)  # some voxels hold no point
    labels = torch.arange(200) % 4 - 1
    moments = gathered([(features, labels)], inverse=inverse, **options)
    expected = pixels_by_class(features, labels, K, ignore_index=-1, inverse=inverse)
    assert_moments_of(moments, expected)


@both_resolutions
def test_batches_and_parts_add_up_to_one_pass(resolution):
    batches = [
        batch((3, 5), (7, 11), channels=D, dtype=torch.float64, images=seed + 1, seed=seed)
        for seed in range(4)
    ]
    whole = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    once = gathered([whole], resolution=resolution)
    assert_same(gathered(batches, resolution=resolution), once)
    part, other = (gathered(half, resolution=resolution) for half in (batches[:1], batches[1:]))
    part.merge(other)
    assert_same(part, once)


def test_centers_are_the_class_centers():
    features, labels = batch((5, 4), (20, 13), channels=D, dtype=torch.float64)
    expected = class_centers(features, labels, K, align_corners=True)
    moments = gathered([(features, labels)], align_corners=True)
    assert_near(moments.centers_KD, expected.centers_KD)
    assert torch.equal(moments.present_K, expected.present_K)


@both_resolutions
def test_an_absent_class_changes_nothing(resolution):
    data = [batch((3, 5), (7, 11), channels=D, dtype=torch.float64)]
    moments, more = (gathered(data, k, resolution=resolution) for k in (K, K + 90))
    for average in ("class", "pixel"):
        assert_near(more.within_DD(average), moments.within_DD(average))
    assert_near(more.between_DD(), moments.between_DD())


@pytest.mark.parametrize("sizes", [((2, 3), (4, 7)), ((), ())], ids=["maps", "points"])
def test_nothing_valid_and_nothing_at_all_are_no_class(sizes):
    features, labels = batch(*sizes, channels=D)
    moments = gathered([(features, torch.full_like(labels, 255)), (features[:0], labels[:0])])
    assert not moments.present_K.any()
    assert not moments.squares_KDD.any()
    assert not moments.centers_KD.any()
    assert moments.within_DD().isnan().all()
    assert moments.between_DD().isnan().all()


def test_squares_are_symmetric_and_variances_of_equal_features_are_zero():
    features, labels = batch((3, 5), (7, 11), channels=D)
    squares_KDD = gathered([(features, labels)]).squares_KDD
    assert torch.equal(squares_KDD, squares_KDD.mT)
    moments = gathered([(torch.full_like(features, 0.1), labels)])
    variances_K = moments.variances_K[: K - 1]
    assert (variances_K >= 0).all()
    assert_near(variances_K, torch.zeros(K - 1, dtype=torch.float64))


def test_sums_stay_exact_over_many_batches():
    one = torch.full((1, D, 2, 2), 0.1)
    moments = gathered([(one, torch.zeros(1, 4, 4, dtype=torch.int64))] * 500)
    assert_near(moments.centers_KD[0], one[0, :, 0, 0].double())


def test_updates_work_inside_and_outside_inference_mode():
    features, labels = batch((3, 5), (7, 11), channels=D)
    with torch.inference_mode():
        made_inside = ClassMoments.zeros(K, D)
        inside = features.clone()
    made_outside = ClassMoments.zeros(K, D)
    for moments in (made_inside, made_outside):
        moments.update(features.clone().requires_grad_(), labels)
        with torch.inference_mode():
            moments.update(inside, labels)
        moments.update(inside, labels)
        moments.merge(made_inside)
        assert not moments.centers_KD.requires_grad
        assert_near(moments.centers_KD, gathered([(features, labels)]).centers_KD)
        moments.within_DD().exp()  # what is read of them, autograd may use


def test_no_tensor_of_label_size_times_channels_or_classes_is_formed():
    classes, dim, side = 60, 32, 128
    features = torch.randn(1, dim, side // 4, side // 4)
    labels = torch.arange(side).div(3, rounding_mode="floor").expand(1, side, side)
    moments = ClassMoments.zeros(classes, dim)
    with LargestTensor() as largest:
        moments.update(features, labels)
    assert largest.numel <= 4 * side**2 < min(classes, dim) * side**2


def test_invalid_arguments_are_refused():
    features, labels = batch((3, 5), (7, 11), channels=D)
    moments = gathered([(features, labels)])
    with pytest.raises(ValueError, match=r"features must have 3 channels .* got 2; use one"):
        moments.update(features[:, :2], labels)
    with pytest.raises(ValueError, match=r"labels must be class ids 0\.\.3"):
        moments.update(features, labels.clamp(max=9) + 1)
    with pytest.raises(ValueError, match=r"labels must be at least as large"):
        moments.update(features, labels[:, :2])
    with pytest.raises(TypeError, match="floating point"):
        moments.update(features.long(), labels)
    assert_same(moments, gathered([(features, labels)]))  # what was refused was not added
    with pytest.raises(ValueError, match=r"agree in K, D.*\(4, 3, 255, 'label'\) and \(5, 3"):
        moments.merge(ClassMoments.zeros(K + 1, D))
    with pytest.raises(ValueError, match="resolution must be 'label' or 'feature', got 'image'"):
        ClassMoments.zeros(K, D, resolution="image")
    with pytest.raises(ValueError, match="in_features must be at least 1, got 0"):
        ClassMoments.zeros(K, 0)
    with pytest.raises(ValueError, match="average must be 'class' or 'pixel', got 'image'"):
        moments.within_DD("image")


RANKS = 2


def rank_batches(rank):
    """Ranks have different numbers of batches, and rank 0 has nothing valid."""
    batches = [batch((2, 3), (5, 6), channels=D, seed=rank + step) for step in range(rank + 1)]
    return [(f, torch.full_like(labels, 255) if rank == 0 else labels) for f, labels in batches]


def run_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=60),
    )
    moments, alone = gathered(rank_batches(rank)), gathered(rank_batches(rank))
    moments.all_reduce()
    alone.all_reduce([dist.new_group([member]) for member in range(RANKS)][rank])
    torch.save([vars(moments), vars(alone)], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_add_up_to_one_process(tmp_path):
    multiprocessing.set_forkserver_preload(["equiseg"])
    mp.start_processes(run_rank, (str(tmp_path),), nprocs=RANKS, start_method="forkserver")
    whole = gathered(itertools.chain(*map(rank_batches, range(RANKS))))
    for rank in range(RANKS):
        together, alone = (ClassMoments(**fields) for fields in torch.load(tmp_path / f"{rank}.pt"))
        assert_same(together, whole)
        assert_same(alone, gathered(rank_batches(rank)))


def test_without_ranks_there_is_nothing_to_add():
    moments = gathered([batch((2, 3), (5, 6), channels=D)])
    moments.all_reduce()
    assert_same(moments, gathered([batch((2, 3), (5, 6), channels=D)]))
