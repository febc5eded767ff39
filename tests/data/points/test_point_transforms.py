"""Joint transforms of points: each has its effect, and labels stay on their points."""

import math

import pytest
import torch

from equiseg.data.points.sample import PointSample
from equiseg.data.points.transforms import PointAugmentConfig, augment_points, mix_points

CHANNELS = ("normal_x", "red", "number", "height", "normal_y", "green", "normal_z", "blue")
RED, NUMBER, HEIGHT = (CHANNELS.index(name) for name in ("red", "number", "height"))
COLOURS = [CHANNELS.index(name) for name in ("red", "green", "blue")]
NORMAL = [CHANNELS.index(name) for name in ("normal_x", "normal_y", "normal_z")]
STILL = {
    "rotate": 0.0,
    "tilt": 0.0,
    "scale": (1.0, 1.0),
    "flip": 0.0,
    "jitter": (0.0, 0.0),
    "colour_shift": 0.0,
    "colour_jitter": 0.0,
    "contrast": 0.0,
    "drop": 0.0,
}
EVERYTHING = {
    "tilt": 10.0,
    "elastic": ((0.2, 0.4),),
    "contrast": 1.0,
    "drop": 0.5,
    "mix": 1.0,
}


def scan(num_points=300, seed=0, middle=(3.0, -1.0, 2.0)):
    """Point i has the label i; normals point away from the middle; one channel has the number i."""
    generator = torch.Generator().manual_seed(seed)
    offsets_N3 = torch.rand(num_points, 3, generator=generator) * 4 - 2
    features_NC = torch.rand(num_points, len(CHANNELS), generator=generator)
    features_NC[:, NORMAL] = offsets_N3 / offsets_N3.norm(dim=1, keepdim=True)
    features_NC[:, COLOURS] = 0.3 + 0.4 * features_NC[:, COLOURS]
    features_NC[:, NUMBER] = torch.arange(num_points).float()
    return PointSample(
        offsets_N3 + torch.tensor(middle), features_NC, torch.arange(num_points), f"scan{seed}"
    )


def run(sample=None, seed=0, other=None, **changes):
    generator = torch.Generator().manual_seed(seed)
    config = PointAugmentConfig(**changes)
    return augment_points(sample or scan(), config, generator, CHANNELS, other)


def middle(xyz_N3):
    return (xyz_N3.amin(0) + xyz_N3.amax(0)) / 2


def fitted(before, after):
    """The (3, 3) matrix from one to the other, about their means."""
    before, after = (
        before.double() - before.double().mean(0),
        after.double() - after.double().mean(0),
    )
    matrix = torch.linalg.lstsq(before, after).solution.T
    torch.testing.assert_close(before @ matrix.T, after, atol=1e-5, rtol=0)
    return matrix


def test_the_result_depends_only_on_the_generator():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = run(seed=3, other=lambda: scan(seed=1), **EVERYTHING)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    two = run(seed=3, other=lambda: scan(seed=1), **EVERYTHING)
    assert all(torch.equal(a, b) for a, b in zip(one[:3], two[:3], strict=True))
    assert len({run(seed=s).xyz_N3.sum().item() for s in range(20)}) == 20


def test_the_sample_is_not_modified():
    sample = scan()
    for config in (STILL, EVERYTHING):
        changed = run(sample, other=lambda: sample, **config)
        for tensor in changed[:3]:
            tensor.zero_()
    assert all(torch.equal(a, b) for a, b in zip(sample[:3], scan()[:3], strict=True))


def test_without_changes_the_sample_is_returned_as_it_is():
    still = run(**STILL)
    torch.testing.assert_close(still.xyz_N3, scan().xyz_N3)
    torch.testing.assert_close(still.features_NC, scan().features_NC)
    assert torch.equal(still.labels_N, scan().labels_N)
    assert still.name == "scan0"


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_labels_stay_on_their_points(dtype):
    first = scan(200)._replace(labels_N=torch.arange(200).to(dtype))
    for seed in range(10):
        augmented = run(first, seed, **EVERYTHING)
        assert augmented.features_NC[:, NUMBER].tolist() == augmented.labels_N.tolist()
        assert augmented.labels_N.dtype == dtype
    # Places too: a gentle change moves no point nearer to another point's place.
    sparse = scan(40)
    for seed in range(10):
        gentle = run(sparse, seed, **STILL | {"jitter": (0.005, 0.02), "drop": 0.5})
        nearest = torch.cdist(gentle.xyz_N3, sparse.xyz_N3).argmin(1)
        assert torch.equal(nearest, gentle.labels_N)


def test_a_rotation_keeps_the_vertical_and_rotates_normals():
    angles = []
    for seed in range(100):
        turned = run(seed=seed, **STILL | {"rotate": 90.0})
        matrix = fitted(scan().xyz_N3, turned.xyz_N3)
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(3).double(), atol=1e-5, rtol=0)
        assert torch.det(matrix) == pytest.approx(1, abs=1e-5)
        assert matrix[2, 2] == pytest.approx(1, abs=1e-5)
        expected = scan().features_NC[:, NORMAL].double() @ matrix.T
        torch.testing.assert_close(turned.features_NC[:, NORMAL], expected.float())
        others = [c for c in range(len(CHANNELS)) if c not in NORMAL]
        assert torch.equal(turned.features_NC[:, others], scan().features_NC[:, others])
        angles.append(math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])))
    assert -90 <= min(angles) < -70
    assert 70 < max(angles) <= 90
    assert abs(sum(angles) / 100) < 15


def test_a_tilt_is_at_most_its_angle():
    leans = []
    for seed in range(100):
        tilted = run(seed=seed, **STILL | {"tilt": 5.0})
        matrix = fitted(scan().xyz_N3, tilted.xyz_N3)
        assert torch.det(matrix) == pytest.approx(1, abs=1e-5)
        leans.append([math.degrees(math.asin(matrix[0, 2])), math.degrees(math.asin(matrix[1, 2]))])
        expected = scan().features_NC[:, NORMAL].double() @ matrix.T
        torch.testing.assert_close(tilted.features_NC[:, NORMAL], expected.float())
    leans = torch.tensor(leans)
    assert leans.abs().max() <= 5.001
    assert (leans.amax(0) > 4).all()
    assert (leans.amin(0) < -4).all()


def test_a_flip_mirrors_each_horizontal_axis_on_its_own():
    seen = []
    for seed in range(200):
        flipped = run(seed=seed, **STILL | {"flip": 0.25})
        matrix = fitted(scan().xyz_N3, flipped.xyz_N3)
        signs = tuple(round(value) for value in matrix.diag().tolist())
        torch.testing.assert_close(
            matrix, torch.diag(torch.tensor(signs).double()), atol=1e-5, rtol=0
        )
        normals = scan().features_NC[:, NORMAL] * torch.tensor(signs)
        torch.testing.assert_close(flipped.features_NC[:, NORMAL], normals)
        seen.append(signs)
    assert {sign[2] for sign in seen} == {1}
    assert 30 <= sum(sign[0] == -1 for sign in seen) <= 70
    assert 30 <= sum(sign[1] == -1 for sign in seen) <= 70
    assert len(set(seen)) == 4


def test_scale_is_drawn_log_uniformly_and_scales_the_height():
    scales = []
    for seed in range(300):
        scaled = run(seed=seed, **STILL | {"scale": (0.5, 2.0)})
        matrix = fitted(scan().xyz_N3, scaled.xyz_N3)
        scales.append(matrix[0, 0].item())
        torch.testing.assert_close(matrix, torch.eye(3).double() * scales[-1], atol=1e-5, rtol=0)
        ratio = scaled.features_NC[:, HEIGHT] / scan().features_NC[:, HEIGHT]
        torch.testing.assert_close(ratio, torch.full((300,), scales[-1]))
        assert torch.equal(scaled.features_NC[:, COLOURS], scan().features_NC[:, COLOURS])
        torch.testing.assert_close(scaled.features_NC[:, NORMAL], scan().features_NC[:, NORMAL])
    assert 0.5 <= min(scales) < 0.55 < 1.8 < max(scales) <= 2.0
    assert 120 <= sum(scale > 1 for scale in scales) <= 180  # uniform would give two thirds


def test_turns_and_scales_leave_the_middle():
    for seed in range(5):
        changed = run(seed=seed, **STILL | {"rotate": 180.0, "scale": (0.5, 2.0), "flip": 0.5})
        corners = middle(scan().xyz_N3) - changed.xyz_N3.mean(0)
        assert corners.norm() < 0.5


def test_jitter_has_its_standard_deviation_and_limit():
    moved = run(scan(20_000), **STILL | {"jitter": (0.01, 0.015)}).xyz_N3 - scan(20_000).xyz_N3
    assert moved.abs().max() <= 0.015001
    free = run(scan(20_000), **STILL | {"jitter": (0.01, 1.0)}).xyz_N3 - scan(20_000).xyz_N3
    assert free.std(0).tolist() == pytest.approx([0.01] * 3, rel=0.03)
    assert free.mean(0).tolist() == pytest.approx([0] * 3, abs=3e-4)
    assert not torch.equal(free[:, 0], free[:, 1])


def elastic(xyz_N3, *pairs, seed=0):
    features_NC = torch.zeros(len(xyz_N3), len(CHANNELS))
    sample = PointSample(xyz_N3, features_NC, torch.zeros(len(xyz_N3), dtype=torch.long), "line")
    return run(sample, seed, **STILL | {"elastic": pairs}).xyz_N3 - xyz_N3


def test_elastic_moves_by_a_ninth_of_its_magnitude_and_smoothly():
    generator = torch.Generator().manual_seed(0)
    xyz_N3 = (torch.rand(50_000, 3, generator=generator) - 0.5) * 15
    moved = elastic(xyz_N3, (0.5, 0.9))
    assert moved.std(0).tolist() == pytest.approx([0.1] * 3, rel=0.2)
    near = elastic(xyz_N3 + 0.01, (0.5, 0.9))
    assert (near - moved).abs().max() < 0.02
    assert (elastic(xyz_N3 + 5, (0.5, 0.9)) - moved).std() > 0.1  # elsewhere it is another
    torch.testing.assert_close(elastic(xyz_N3, (0.5, 1.8)), 2 * moved, atol=1e-5, rtol=0)
    twice = elastic(xyz_N3, (0.5, 0.9), (2.0, 0.9))
    assert (twice - moved).std() > 0.05


def test_elastic_is_linear_between_its_nodes():
    for seed in range(5):
        z = torch.linspace(-1.99, -1.01, 50)  # one cell, below zero
        line = torch.stack([torch.full((50,), 0.3), torch.full((50,), -7.8), z], 1)
        moved = elastic(line, (1.0, 1.0), seed=seed).double()
        assert moved.diff(dim=0).diff(dim=0).abs().max() < 1e-5
        assert moved.diff(dim=0).abs().max() > 1e-4


def test_elastic_has_no_mirror_at_the_origin():
    x = torch.arange(-5.0, 6.0)
    moved = elastic(torch.stack([x, x, x], 1), (1.0, 1.0))
    assert len(moved.unique(dim=0)) == 11


def test_elastic_fills_space_of_any_extent():
    far = torch.tensor([[0.0, 0, 0], [3000, -3000, 500], [-2999.9, 3000.1, 2]])
    assert elastic(far, (0.2, 0.4)).isfinite().all()
    assert elastic(far, (0.2, 0.4)).abs().max() < 0.4


def colours(seed=0, sample=None, **changes):
    augmented = run(sample, seed, **STILL | changes)
    others = [c for c in range(len(CHANNELS)) if c not in COLOURS]
    kept = (sample or scan()).features_NC[:, others]
    torch.testing.assert_close(augmented.features_NC[:, others], kept)
    return augmented.features_NC[:, COLOURS]


def test_a_colour_shift_is_the_same_for_all_points():
    before = scan().features_NC[:, COLOURS]
    shifts = []
    for seed in range(50):
        shift = colours(seed, colour_shift=0.2) - before
        assert (shift - shift[0]).abs().max() < 1e-5
        shifts.append(shift[0])
    shifts = torch.stack(shifts)
    assert shifts.abs().max() <= 0.2
    assert (shifts.amax(0) > 0.15).all()
    assert (shifts.amin(0) < -0.15).all()
    assert shifts.std(1).min() > 0  # each channel has its own


def test_colour_jitter_is_noise_on_each_point():
    change = colours(sample=scan(20_000), colour_jitter=0.02) - scan(20_000).features_NC[:, COLOURS]
    assert change.std(0).tolist() == pytest.approx([0.02] * 3, rel=0.05)
    assert change.mean(0).tolist() == pytest.approx([0] * 3, abs=6e-4)


def test_contrast_stretches_towards_the_full_range():
    before, spans = scan().features_NC[:, COLOURS], []
    for seed in range(50):
        after = colours(seed, contrast=1.0)
        assert after.amin() >= 0
        assert after.amax() <= 1
        low, high = before.aminmax(dim=0)
        full = (before - low) / (high - low)
        share = ((after - before) / (full - before)).flatten().median()
        torch.testing.assert_close(after, before.lerp(full, share), atol=1e-5, rtol=0)
        spans.append(share.item())
    assert 0 <= min(spans) < 0.1 < 0.9 < max(spans) <= 1
    stretched = sum(not torch.allclose(colours(s, contrast=0.3), before) for s in range(200))
    assert 35 <= stretched <= 85
    flat = scan()
    flat.features_NC[:, COLOURS] = 0.5
    assert colours(sample=flat, contrast=1.0).isfinite().all()


def test_colours_are_dropped_with_the_given_probability():
    dropped = [not colours(seed, colour_drop=0.3).any() for seed in range(200)]
    assert 35 <= sum(dropped) <= 85
    assert not any(not colours(seed, colour_drop=0.0).any() for seed in range(20))


def test_colours_stay_between_none_and_full():
    after = torch.cat([colours(s, colour_shift=0.9, colour_jitter=0.9) for s in range(5)])
    assert (after.amin(), after.amax()) == (0, 1)


def test_drop_removes_at_most_its_share_and_never_all():
    sizes = []
    for seed in range(100):
        kept = run(seed=seed, **STILL | {"drop": 0.4})
        sizes.append(len(kept.labels_N))
        assert torch.equal(kept.labels_N, kept.labels_N.unique())  # none twice, in old order
    assert 180 <= min(sizes) < 200
    assert 290 < max(sizes) <= 300
    taken = torch.cat([run(seed=s, **STILL | {"drop": 0.4}).labels_N for s in range(100)])
    assert torch.bincount(taken, minlength=300).min() > 50  # every point has its turn
    assert all(len(run(scan(1), seed, drop=0.99).labels_N) == 1 for seed in range(20))


def test_mixing_lays_one_scan_over_the_other():
    second = scan(100, seed=1, middle=(500.0, 70.0, -9.0))
    mixed = run(scan(), other=lambda: second, **STILL | {"mix": 1.0})
    assert len(mixed.labels_N) == 400
    assert mixed.name == "scan0+scan1"
    torch.testing.assert_close(mixed.xyz_N3[:300], scan().xyz_N3)
    assert torch.equal(mixed.labels_N, torch.cat([scan().labels_N, second.labels_N]))
    torch.testing.assert_close(mixed.features_NC[300:], second.features_NC)
    shift = mixed.xyz_N3[300:] - second.xyz_N3
    torch.testing.assert_close(shift, shift[:1].expand(100, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        middle(mixed.xyz_N3[300:])[:2], middle(scan().xyz_N3)[:2], atol=1e-4, rtol=0
    )
    floors = [half[:, 2].sort().values[len(half) // 100] for half in mixed.xyz_N3.split([300, 100])]
    torch.testing.assert_close(*floors, atol=1e-4, rtol=0)


def test_a_few_points_underground_are_not_the_floor():
    stray = scan(300)
    stray.xyz_N3[:2, 2] = -80.0
    mixed = mix_points(scan(300), stray)
    clean = mix_points(scan(300), scan(300))
    torch.testing.assert_close(mixed.xyz_N3[302:, 2], clean.xyz_N3[302:, 2], atol=0.1, rtol=0)


def test_the_second_scan_is_read_when_it_is_mixed_in_and_turned_on_its_own():
    reads = []

    def second():
        reads.append(1)
        return scan()

    sizes = [len(run(seed=s, other=second, **STILL | {"mix": 0.3}).labels_N) for s in range(200)]
    assert 35 <= len(reads) <= 85
    assert sizes.count(600) == len(reads)
    assert sizes.count(300) == 200 - len(reads)
    assert len(run(**STILL | {"mix": 1.0}).labels_N) == 300  # nothing at hand to mix in
    halves = run(other=scan, **STILL | {"mix": 1.0, "rotate": 180.0}).xyz_N3.split(300)
    turned = [fitted(scan().xyz_N3, half) for half in halves]
    assert all((matrix - torch.eye(3)).norm() > 0.1 for matrix in turned)
    assert (turned[0] - turned[1]).norm() > 0.1


def test_defaults_are_mild():
    """Without a turn, no point of a room moves by more than its share of the scale and tilt."""
    for seed in range(20):
        config = {"rotate": 0.0, "flip": 0.0, "drop": 0.0}
        moved = run(seed=seed, **config).xyz_N3 - scan().xyz_N3
        assert moved.norm(dim=1).max() < 0.1 * 3.5 + 2 * math.radians(2.8) * 3.5 + 0.04


def test_channels_that_do_not_fit_and_scans_without_points_are_refused():
    with pytest.raises(ValueError, match=r"a feature for each channel of \('red',\), got .*300, 8"):
        augment_points(scan(), PointAugmentConfig(), torch.Generator(), ("red",))
    with pytest.raises(ValueError, match="sample 'scan0' must have points"):
        run(scan(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rotate": 190.0}, r"rotate must be 0\.\.180 degrees either way, got 190\.0; 0 does not"),
        ({"tilt": -1.0}, r"tilt must be 0\.\.180 degrees either way, got -1\.0"),
        ({"scale": (0.0, 1.0)}, r"scale must be 0 < low <= high, got \(0\.0, 1\.0\); \(1, 1\)"),
        ({"scale": (1.0,)}, r"scale must be 0 < low <= high, got \(1\.0,\)"),
        ({"jitter": (0.1, 0.05)}, r"jitter must be 0 <= standard .* got \(0\.1, 0\.05\); \(0, 0\)"),
        ({"elastic": ((0.0, 1.0),)}, r"elastic must be pairs .* got \(0\.0, 1\.0\); \(\) bends"),
        ({"elastic": ((1.0,),)}, r"elastic must be pairs .* got \(1\.0,\)"),
        ({"flip": 1.5}, r"flip must be a probability in \[0, 1\], got 1\.5; 0 never does it"),
        ({"contrast": -0.1}, r"contrast must be a probability in \[0, 1\], got -0\.1"),
        ({"colour_drop": 2}, r"colour_drop must be a probability in \[0, 1\], got 2"),
        ({"mix": math.nan}, r"mix must be a probability in \[0, 1\], got nan"),
        ({"colour_shift": 1.0}, r"colour_shift must be in \[0, 1\), got 1\.0; 0 leaves"),
        ({"colour_jitter": -1}, r"colour_jitter must be in \[0, 1\), got -1"),
        ({"drop": 1.0}, r"drop must be in \[0, 1\), got 1\.0"),
    ],
)
def test_invalid_ranges_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PointAugmentConfig(**changes)
