"""Closed forms of the gradients against autograd, in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from equiseg import CenterCollapseLoss
from equiseg.collapse import PowerLaw, center_gradients, pixel_gradients
from maps import SIZES, K, LargestTensor, batch, both_conventions, every_size

C = 6
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
POINTS = ((), ())
BRANCHES = {
    "defaults": {},
    "weight and scale": {"weight": 0.7, "scale": 9.0},
    "frozen projection": {"projection": ("frozen", 9)},
    "learnable projection": {"projection": "learnable"},
    "prior": {"prior": [0.9, 0.5, 0.2, 0.01]},
    "min_count": {"min_count": 32},
    "corners aligned": {"align_corners": True},
}
every_branch = pytest.mark.parametrize("options", BRANCHES.values(), ids=BRANCHES)


def near(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def classifier(bias=True):
    generator = torch.Generator().manual_seed(7)
    weight = torch.randn(K, C, generator=generator, dtype=torch.float64)
    return weight, torch.randn(K, generator=generator, dtype=torch.float64) if bias else None


def resized(features, labels, align_corners=False):
    """(N, C) features at label resolution, and (N,) labels."""
    if features.ndim > 2 and features.shape[2:] != labels.shape[1:]:
        mode = MODES[features.ndim - 2]
        size = labels.shape[1:]
        features = F.interpolate(features, size, mode=mode, align_corners=align_corners)
    return features.movedim(1, -1).reshape(-1, C), labels.flatten()


def masses(gradient_NC, labels_N):
    """(K,) sums of the pixels' gradient norms."""
    norms = gradient_NC.norm(dim=1)
    return torch.stack([norms[labels_N == k].sum() for k in range(K)])


def tensors(gradients):
    return {name: value for name, value in vars(gradients).items() if name != "num_batches"}


def maps(sizes, dtype=torch.float64):
    features, labels = batch(*sizes, channels=C, dtype=dtype, images=30 if not sizes[0] else 2)
    return features, labels


@every_size
@both_conventions
def test_pixel_row_gradients_equal_autograd(sizes, align_corners):
    features, labels = maps(sizes)
    weight, bias = classifier()
    gradients = pixel_gradients(features, labels, weight, bias, align_corners=align_corners)
    rows, y = resized(features, labels, align_corners)
    for k in range(K):
        leaf = weight.clone().requires_grad_()
        losses = F.cross_entropy(rows @ leaf.T + bias, y, ignore_index=255, reduction="none")
        count = (y != 255).sum()
        (within,) = torch.autograd.grad(losses[y == k].sum() / count, leaf, retain_graph=True)
        (between,) = torch.autograd.grad(losses[y != k].sum() / count, leaf)
        near(gradients.rows_within_KD[k], within[k])
        near(gradients.rows_between_KD[k], between[k])


def test_pixel_row_gradients_equal_the_gradients_of_training():
    """Scores resized after the classifier, as a network does, and the mean over the batch."""
    features, labels = maps(SIZES["2d other ratio"])
    weight, bias = classifier()
    leaf = weight.clone().requires_grad_()
    scores = F.conv2d(features, leaf[..., None, None], bias)
    scores = F.interpolate(scores, labels.shape[1:], mode="bilinear")
    F.cross_entropy(scores, labels, ignore_index=255).backward()
    gradients = pixel_gradients(features, labels, weight, bias)
    near(gradients.rows_within_KD + gradients.rows_between_KD, leaf.grad)


@every_size
@pytest.mark.parametrize("bias", [True, False])
def test_pixel_masses_equal_autograd(sizes, bias):
    features, labels = maps(sizes)
    weight, bias = classifier(bias)
    gradients = pixel_gradients(features, labels, weight, bias)
    rows, y = resized(features, labels)
    rows = rows.clone().requires_grad_()
    valid, own_row = y != 255, F.one_hot(y.where(y != 255, 0), K).bool()
    fixed = rows.detach()

    def gradient(through_own, through_others):
        """On the resized features, through the score of the own class, of the others, or both."""
        scores = torch.where(
            own_row,
            (rows if through_own else fixed) @ weight.T,
            (rows if through_others else fixed) @ weight.T,
        )
        scores = scores if bias is None else scores + bias
        loss = F.cross_entropy(scores, y, ignore_index=255)
        return torch.autograd.grad(loss, rows)[0]

    near(gradients.mass_K, masses(gradient(True, True), y))
    near(gradients.pull_K, masses(gradient(True, False), y))
    near(gradients.push_K, masses(gradient(False, True), y))
    scores = fixed @ weight.T if bias is None else fixed @ weight.T + bias
    errors = 1 - scores.softmax(1)[own_row]
    for k in range(K - 1):
        near(gradients.error_K[k], errors[valid & (y == k)].mean())
    assert gradients.counts_K.tolist() == [int((y == k).sum()) for k in range(K)]
    assert gradients.batches_K.tolist() == [1, 1, 1, 0]


@every_branch
@pytest.mark.parametrize("sizes", [SIZES["2d other ratio"], SIZES["3d other ratio"], POINTS])
def test_center_gradients_equal_autograd(options, sizes):
    loss = CenterCollapseLoss(K, C, **options)
    features, labels = maps(sizes)
    gradients = center_gradients(features, labels, loss)
    rows, y = resized(features, labels, loss.align_corners)
    rows = rows.clone().requires_grad_()
    loss.frame_KD = loss.frame_KD.double().requires_grad_()
    loss(rows, y).backward()
    near(gradients.mass_K, masses(rows.grad, y))
    near(gradients.rows_within_KD + gradients.rows_between_KD, loss.frame_KD.grad)
    counts = torch.stack([(y == k).sum() for k in range(K)])
    present = counts >= loss.min_count
    assert torch.equal(gradients.counts_K, counts * present)
    assert torch.equal(gradients.batches_K, present.long())


def test_the_published_branch_is_covered():
    features, labels = maps(SIZES["2d equal"])
    loss = CenterCollapseLoss.published(K, C, prior=[0.9, 0.5, 0.2, 0.01], weight=0.8)
    with pytest.raises(ValueError, match=r"must not be in training.*call loss.eval\(\) first"):
        center_gradients(features, labels, loss)
    loss(features, labels)  # sets the running statistics
    loss.eval()
    rows, y = resized(features, labels)
    rows = rows.clone().requires_grad_()
    loss(rows, y).backward()
    near(center_gradients(features, labels, loss).mass_K, masses(rows.grad, y))


@every_branch
def test_center_parts_are_within_and_between_pull_and_push(options):
    loss = CenterCollapseLoss(K, C, **options)
    features, labels = maps(SIZES["2d other ratio"])
    gradients = center_gradients(features, labels, loss)
    rows, y = resized(features, labels, loss.align_corners)
    present = [k for k in range(K) if (y == k).sum() >= loss.min_count]
    centers = torch.stack([rows[y == k].mean(0) for k in present]).requires_grad_()
    prior = 0 if loss.log_prior_K is None else loss.log_prior_K.double()
    frame = loss.frame_KD.double()

    def points():
        mapped = loss.projection(centers)
        return F.normalize(mapped.relu() if loss.relu else mapped, dim=1)

    for place, k in enumerate(present):
        leaf = frame.clone().requires_grad_()
        target = torch.tensor(k)
        scores = loss.scale * points() @ leaf.T + prior
        losses = F.cross_entropy(scores, torch.tensor(present), reduction="none")
        losses = loss.weight * losses / len(present)
        others = torch.arange(len(present)) != place
        (within,) = torch.autograd.grad(losses[place], leaf, retain_graph=True)
        (between,) = torch.autograd.grad(losses[others].sum(), leaf)
        near(gradients.rows_within_KD[k], within[k])
        near(gradients.rows_between_KD[k], between[k])
        for own, part_K in ((True, gradients.pull_K), (False, gradients.push_K)):
            free, fixed = points()[place], points()[place].detach()
            through = torch.where((torch.arange(K) == k) == own, free @ frame.T, fixed @ frame.T)
            part = F.cross_entropy(loss.scale * through + prior, target)
            (on_centers,) = torch.autograd.grad(loss.weight * part / len(present), centers)
            near(part_K[k], on_centers[place].norm())
        with torch.no_grad():
            near(gradients.error_K[k], 1 - (scores[place]).softmax(0)[k])


def test_voxels_are_points_that_share_features():
    features, labels = torch.randn(7, C, dtype=torch.float64), torch.randint(0, K, (40,))
    labels[::5] = 255
    inverse = torch.randint(0, 7, (40,))
    weight, bias = classifier()
    loss = CenterCollapseLoss(K, C)
    for voxels, points in (
        (
            pixel_gradients(features, labels, weight, bias, inverse=inverse),
            pixel_gradients(features[inverse], labels, weight, bias),
        ),
        (
            center_gradients(features, labels, loss, inverse=inverse),
            center_gradients(features[inverse], labels, loss),
        ),
    ):
        for name, value in tensors(points).items():
            near(vars(voxels)[name], value)


def test_chunks_do_not_change_the_result(monkeypatch):
    features, labels = maps(SIZES["2d other ratio"])
    whole = pixel_gradients(features, labels, *classifier())
    monkeypatch.setattr("equiseg.collapse.pixel_branch._CHUNK_VALUES", 5 * C)
    parts = pixel_gradients(features, labels, *classifier())
    for name, value in tensors(whole).items():
        near(vars(parts)[name], value)


def test_no_batch_of_full_size_scores_is_formed():
    classes, side = 40, 64
    features = torch.randn(4, C, side // 4, side // 4)
    labels = torch.randint(0, classes, (4, side, side))
    with LargestTensor() as largest:
        pixel_gradients(features, labels, torch.randn(classes, C))
    assert largest.numel <= classes * side**2


def test_a_confident_error_keeps_its_digits():
    """1 - p would be zero here; the gradient is not."""
    features = torch.tensor([[100.0, 0.0]])
    weight = torch.eye(2, dtype=torch.float64)
    gradients = pixel_gradients(features, torch.tensor([0]), weight)
    near(gradients.error_K[0].log(), torch.tensor(-100.0, dtype=torch.float64))
    near(gradients.mass_K[0], math.sqrt(2) * gradients.error_K[0])


def test_pixel_mass_grows_with_the_pixels_and_center_mass_does_not():
    """Classes of 4000, 400, 40 and 4 pixels that differ in nothing else: each between two rows."""
    counts = torch.tensor([4000, 400, 40, 4])
    loss = CenterCollapseLoss(K, C)
    means = loss.frame_KD + 0.5 * loss.frame_KD.roll(1, 0)
    labels = torch.repeat_interleave(torch.arange(K), counts)
    pixel = pixel_gradients(means[labels], labels, loss.frame_KD)
    center = center_gradients(means[labels], labels, loss)
    assert PowerLaw.fit(counts, pixel.mass_K).exponent == pytest.approx(1, abs=1e-6)
    assert PowerLaw.fit(counts, center.mass_K).exponent == pytest.approx(0, abs=1e-6)


def test_at_the_simplex_the_center_gradient_is_pure_pull():
    """The push of equal wrong probabilities lies along the own row: K / (K - 1) in all."""
    frame = CenterCollapseLoss(K, C).frame_KD.double()
    gradients = pixel_gradients(torch.zeros(K, C), torch.arange(K), frame)
    assert gradients.mass_K.tolist() == pytest.approx([1 / K] * K)
    assert gradients.pull_K.tolist() == pytest.approx([(K - 1) / K**2] * K)
    assert gradients.push_K.tolist() == pytest.approx([1 / K**2] * K)


@pytest.mark.parametrize("inference", [True, False])
def test_gradients_add_up(inference):
    with torch.inference_mode(inference):
        loss = CenterCollapseLoss(K, C, projection="frozen")
    weight, bias = classifier()
    batches = [maps(SIZES["2d other ratio"]), maps(SIZES["2d integer ratio"])]
    batches[1][1].fill_(1)
    with torch.inference_mode(inference):
        for parts in (
            [pixel_gradients(f.float(), y, weight, bias) for f, y in batches],
            [center_gradients(f.float(), y, loss) for f, y in batches],
        ):
            total = parts[0] + parts[1]
            assert total.num_batches == 2
            assert total.batches_K.tolist() == [1, 2, 1, 0]
            near(total.rows_within_KD, parts[0].rows_within_KD + parts[1].rows_within_KD)
            near(total.mean_mass_K, (parts[0].mass_K + parts[1].mass_K) / 2)
            near(total.present_mass_K[:2], total.mass_K[:2] / torch.tensor([1, 2]))
            near(total.present_error_K[0], parts[0].error_K[0])
            assert total.present_counts_K[0] == parts[0].counts_K[0]
            assert total.present_mass_K[-1].isnan()


def test_without_labels_the_gradient_is_zero():
    features, labels = maps(SIZES["2d other ratio"])
    labels.fill_(255)
    for gradients in (
        pixel_gradients(features, labels, *classifier()),
        center_gradients(features, labels, CenterCollapseLoss(K, C, projection="frozen")),
    ):
        assert not any(value.any() for value in tensors(gradients).values())


def test_a_center_of_length_zero_has_no_gradient():
    loss = CenterCollapseLoss(K, C)
    features = torch.zeros(3, C, requires_grad=True)
    loss(features, torch.tensor([0, 1, 1])).backward()
    assert not features.grad.any()
    assert not center_gradients(features, torch.tensor([0, 1, 1]), loss).mass_K.any()


def test_power_law_of_a_power_law():
    sizes = torch.tensor([1, 10, 1000, 0, 5])
    law = PowerLaw.fit(sizes, torch.tensor([3.0, 3e2, 3e6, 7.0, math.nan]))
    assert law == pytest.approx((2, 3))
    assert math.isnan(PowerLaw.fit(torch.tensor([4, 4]), torch.tensor([1.0, 2.0])).exponent)
    assert math.isnan(PowerLaw.fit(torch.tensor([0]), torch.tensor([1.0])).exponent)


def test_invalid_arguments_are_refused():
    features, labels = maps(SIZES["2d other ratio"])
    weight, bias = classifier()
    with pytest.raises(ValueError, match=r"weight must be \(K, 6\).*got \(4, 5\) with a bias"):
        pixel_gradients(features, labels, weight[:, :5], bias)
    with pytest.raises(ValueError, match=r"weight must be \(K, 6\).*no bias; pass weight.flatten"):
        pixel_gradients(features, labels, weight[..., None, None])
    with pytest.raises(ValueError, match=r"labels must be class ids 0\.\.3"):
        pixel_gradients(features, labels.clamp(max=9), weight)
    with pytest.raises(ValueError, match="labels must be at least as large"):
        pixel_gradients(features, labels[:, :2], weight)
    loss = CenterCollapseLoss(K, C, projection=("frozen", 9))
    with pytest.raises(ValueError, match=r"in_features=6 channels, got 5 in \(2, 5, 3, 5\)"):
        center_gradients(features[:, :5], labels, loss)
    with pytest.raises(ValueError, match=r"agree in \(K, D\).*\(4, 6\) and \(4, 9\)"):
        pixel_gradients(features, labels, weight) + center_gradients(features, labels, loss)
