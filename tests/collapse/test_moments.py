"""Centers of a whole data set, gathered batch by batch."""

import pytest
import torch

from equiseg import class_centers
from equiseg.collapse import CenterMoments

K, C = 5, 7


def batch(seed, images=2, size=(6, 9), scale=1, classes=K - 1):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, C, *size, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (images, *(scale * s for s in size)), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return features, labels


def gathered(batches, **options):
    moments = CenterMoments(K, **options)
    for features, labels in batches:
        moments.update(features, labels)
    return moments


def test_batches_add_up_to_one_pass():
    batches = [batch(seed, scale=4, classes=seed + 1) for seed in range(3)]
    centers_KD, present_K = gathered(batches).centers()
    whole = class_centers(*(torch.cat(part) for part in zip(*batches, strict=True)), K)
    torch.testing.assert_close(centers_KD, whole.centers_KD, rtol=1e-12, atol=1e-12)
    assert torch.equal(gathered(batches).counts_K, whole.counts_K)
    assert present_K.tolist() == whole.present_K.tolist() == [True] * 3 + [False] * 2


def test_a_center_is_the_mean_over_pixels_and_not_over_batches():
    batches = [batch(0, images=1, size=(2, 3)), batch(1, images=4, size=(8, 5)), batch(2)]
    centers_KD, present_K = gathered(batches).centers()
    features = torch.cat([f.movedim(1, -1).reshape(-1, C) for f, _ in batches])
    labels = torch.cat([labels.flatten() for _, labels in batches])
    for k in range(K - 1):
        torch.testing.assert_close(centers_KD[k], features[labels == k].mean(0))
    assert not present_K[K - 1]
    assert not centers_KD[K - 1].any()


def test_points_and_another_ignore_index():
    features = torch.randn(50, C, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 4 - 1
    moments = gathered(
        [(features[:10], labels[:10]), (features[10:], labels[10:])], ignore_index=-1
    )
    torch.testing.assert_close(moments.centers()[0][2], features[labels == 2].double().mean(0))
    assert moments.counts_K.tolist() == [13, 12, 12, 0, 0]


def test_many_batches_do_not_wear_the_sums_down():
    one = torch.full((1, C, 4, 4), 0.1)
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    centers_KD, _ = gathered([(one, labels)] * 2000).centers()
    torch.testing.assert_close(centers_KD[0].float(), one[0, :, 0, 0], rtol=1e-6, atol=0)


def test_nothing_valid_is_no_class():
    features, labels = batch(0)
    centers_KD, present_K = gathered([(features, torch.full_like(labels, 255))]).centers()
    assert not present_K.any()
    assert not centers_KD.any()


def test_no_graph_is_kept_and_inference_mode_may_come_and_go():
    features, labels = batch(0)
    moments = CenterMoments(K)
    with torch.inference_mode():
        moments.update(features.clone(), labels)
    moments.update(features.requires_grad_(), labels)
    centers_KD, _ = moments.centers()
    assert not centers_KD.requires_grad
    torch.testing.assert_close(centers_KD, gathered([(features, labels)]).centers()[0].detach())


def test_wrong_use_is_refused():
    moments = CenterMoments(K)
    with pytest.raises(RuntimeError, match=r"no features were added yet; call update"):
        moments.centers()
    features, labels = batch(0)
    moments.update(features, labels)
    with pytest.raises(ValueError, match=r"features must have 7 channels .* got 3; use one"):
        moments.update(features[:, :3], labels)
    with pytest.raises(ValueError, match=r"labels must be class ids 0\.\.4"):
        moments.update(features, labels.clamp(max=9) + 1)
    torch.testing.assert_close(moments.centers()[0], gathered([batch(0)]).centers()[0])
