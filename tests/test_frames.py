import functools
import math

import pytest
import torch
from torch.nn import functional as F

from equiseg.frames import frame, largest_cosine, simplex_etf, softmax_code

MAKERS = [simplex_etf, softmax_code, frame]


@functools.cache
def default_code(num_classes, dim):
    return softmax_code(num_classes, dim, dtype=torch.float64)


def margin_bracket(frame_KD, steps=1500):
    """Bounds (low, high) of the smallest distance from a row to the hull of the others.

    Accelerated projected gradient on the hull weights of all rows at once. A point of the hull is
    never nearer than the nearest (high); the direction to it separates by no more than the
    distance (low).
    """
    frame_KD = frame_KD.double()
    num_classes = len(frame_KD)
    others = torch.stack([torch.cat((frame_KD[:k], frame_KD[k + 1 :])) for k in range(num_classes)])
    differences = frame_KD[:, None] - others
    gram = differences @ differences.mT
    step = 1 / torch.linalg.matrix_norm(gram, ord=2).max()
    weights = momentum = torch.full(gram.shape[:2], 1 / (num_classes - 1), dtype=torch.float64)
    for t in range(steps):
        slope = (gram @ momentum[..., None]).squeeze(-1)
        new = project_to_simplex(momentum - step * slope)
        momentum = new + t / (t + 3) * (new - weights)
        weights = new
    nearest = (weights[:, None] @ differences).squeeze(1)
    high = nearest.norm(dim=1)
    low = (differences @ nearest[..., None]).squeeze(-1).amin(1) / high
    return low.min().item(), high.min().item()


def project_to_simplex(rows):
    ordered = rows.sort(dim=1, descending=True).values
    excess = (ordered.cumsum(1) - 1) / torch.arange(1, rows.shape[1] + 1)
    support = (ordered > excess).sum(1, keepdim=True)
    return (rows - excess.gather(1, support - 1)).clamp(min=0)


def random_frame(num_classes, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num_classes, dim, generator=generator, dtype=torch.float64)
    return F.normalize(rows, dim=1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("num_classes", [2, 3, 19, 150])
@pytest.mark.parametrize("extra_dim", [-1, 0, 37])
@pytest.mark.parametrize("make", MAKERS)
def test_simplex_is_exact_wherever_it_exists(make, num_classes, extra_dim, dtype, tolerance):
    dim = num_classes + extra_dim
    if make is softmax_code and dim < 2:
        pytest.skip("a softmax code needs two dimensions")
    rows = make(num_classes, dim, dtype=dtype)
    assert rows.shape == (num_classes, dim)
    assert rows.dtype == dtype
    gram = torch.full((num_classes, num_classes), -1 / (num_classes - 1), dtype=torch.float64)
    gram.fill_diagonal_(1)
    assert (rows.double() @ rows.double().T - gram).abs().max() < tolerance
    assert rows.double().sum(0).abs().max() < tolerance


@pytest.mark.parametrize(
    ("num_classes", "dim"), [(4, 2), (5, 3), (6, 3), (11, 7), (20, 13), (24, 12)]
)
def test_up_to_twice_the_dimensions_no_cosine_is_positive_and_every_margin_is_one(num_classes, dim):
    rows = softmax_code(num_classes, dim, dtype=torch.float64)
    assert abs(largest_cosine(rows)) < 1e-12
    torch.testing.assert_close(rows.norm(dim=1), torch.ones_like(rows[:, 0]))
    assert rows.sum(0).abs().max() < 1e-12
    assert torch.linalg.matrix_rank(rows) == dim
    low, high = margin_bracket(rows)
    assert low == pytest.approx(1, abs=1e-6)
    assert high == pytest.approx(1, abs=1e-6)


def test_twice_the_dimensions_is_the_cross_polytope():
    rows = softmax_code(10, 5, dtype=torch.float64)
    opposite = (rows @ rows.T + 1).abs() < 1e-12
    assert (opposite.sum(1) == 1).all()


@pytest.mark.parametrize("num_classes", [3, 4, 5, 12, 101])
def test_two_dimensions_is_the_regular_polygon(num_classes):
    rows = softmax_code(num_classes, 2, dtype=torch.float64)
    angles = torch.atan2(rows[:, 1], rows[:, 0]).sort().values
    gaps = angles.diff()
    torch.testing.assert_close(gaps, torch.full_like(gaps, 2 * math.pi / num_classes))
    assert largest_cosine(rows) == pytest.approx(math.cos(2 * math.pi / num_classes), abs=1e-12)


KNOWN_COSINES = {
    # The angles are those of N. J. A. Sloane's tables of spherical codes.
    (7, 3): math.cos(math.radians(77.8695)),
    (8, 3): math.cos(math.radians(74.8585)),
    (9, 3): 1 / 3,
    (12, 3): 1 / math.sqrt(5),
    (13, 3): math.cos(math.radians(57.1367)),
    (24, 3): math.cos(math.radians(43.6908)),
    (10, 4): 1 / 6,
    (24, 4): 1 / 2,
    (16, 5): 1 / 5,
    (27, 6): 1 / 4,
}


@pytest.mark.parametrize(("num_classes", "dim"), KNOWN_COSINES)
def test_the_numerical_code_meets_the_known_spherical_codes(num_classes, dim):
    rows = default_code(num_classes, dim)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones_like(rows[:, 0]))
    assert largest_cosine(rows) == pytest.approx(KNOWN_COSINES[num_classes, dim], abs=1e-4)


@pytest.mark.parametrize(("num_classes", "dim"), [(7, 3), (13, 3), (24, 4), (16, 5)])
def test_the_numerical_margin_is_one_minus_the_cosine_and_beats_alternatives(num_classes, dim):
    rows = default_code(num_classes, dim)
    low, high = margin_bracket(rows)
    assert low == pytest.approx(1 - largest_cosine(rows), abs=1e-3)
    assert high == pytest.approx(1 - largest_cosine(rows), abs=1e-3)
    alternatives = [random_frame(num_classes, dim, seed) for seed in range(4)]
    alternatives += [F.normalize(rows + 0.05 * other, dim=1) for other in alternatives]
    assert low > max(margin_bracket(other, steps=300)[1] for other in alternatives)


def test_the_margin_beats_the_cube():
    cube = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3) / 3**0.5
    low, high = margin_bracket(cube)
    assert (low, high) == pytest.approx((2 / 3, 2 / 3), abs=1e-6)
    assert margin_bracket(default_code(8, 3))[0] > high + 0.05


def test_many_classes_beat_random_directions_by_far():
    rows = softmax_code(200, 64)
    assert largest_cosine(rows) < 0.07
    assert largest_cosine(random_frame(200, 64, 0)) > 0.3


def test_blocks_of_rows_give_the_same_code(monkeypatch):
    monkeypatch.setattr("equiseg.frames._COSINES_AT_ONCE", 6 * 100 * 30)
    blocks = softmax_code(100, 12, dtype=torch.float64)
    assert largest_cosine(blocks) == pytest.approx(largest_cosine(default_code(100, 12)), abs=5e-3)


def test_a_code_of_few_steps_is_single_precision_also_under_autocast(monkeypatch):
    monkeypatch.setattr("equiseg.frames._FEWEST_STEPS", 1000)
    rationed = softmax_code(27, 6, dtype=torch.float64)
    assert largest_cosine(rationed) == pytest.approx(1 / 4, abs=1e-4)
    torch.testing.assert_close(rationed.norm(dim=1), torch.ones_like(rationed[:, 0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = softmax_code(27, 6, dtype=torch.float64)
    torch.testing.assert_close(autocast, rationed, rtol=0, atol=0)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("num_classes", "dim"), [(6, 5), (9, 6), (9, 2), (9, 3)])
def test_frames_are_deterministic_and_leave_the_global_generator_alone(make, num_classes, dim):
    if make is simplex_etf and dim < num_classes - 1:
        pytest.skip("no simplex")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(num_classes, dim)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)
    torch.manual_seed(2)
    torch.testing.assert_close(make(num_classes, dim), first, rtol=0, atol=0)

    seeded = [
        make(num_classes, dim, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    ]
    torch.testing.assert_close(seeded[0], seeded[1], rtol=0, atol=0)
    assert not torch.allclose(seeded[0], seeded[2])
    assert largest_cosine(seeded[0]) == pytest.approx(largest_cosine(first), abs=1e-4)


def test_a_given_generator_advances():
    generator = torch.Generator().manual_seed(0)
    first = frame(5, 8, generator=generator)
    assert not torch.allclose(frame(5, 8, generator=generator), first)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("num_classes", "dim"), [(6, 9), (9, 6), (9, 2), (9, 3)])
def test_the_dtype_is_only_a_cast(num_classes, dim, dtype):
    rows = frame(num_classes, dim, dtype=dtype)
    assert rows.dtype == dtype
    exact = default_code(num_classes, dim)
    torch.testing.assert_close(rows, exact.to(dtype), rtol=0, atol=0)


def test_autocast_default_dtype_and_default_device_change_nothing():
    expected = {dim: frame(9, dim) for dim in (3, 6, 8)}
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
            found = {dim: frame(9, dim) for dim in expected}
    finally:
        torch.set_default_dtype(torch.float32)
    for dim, rows in expected.items():
        torch.testing.assert_close(found[dim], rows, rtol=0, atol=0)


def test_frame_is_the_simplex_or_the_code():
    torch.testing.assert_close(frame(9, 8), simplex_etf(9, 8), rtol=0, atol=0)
    torch.testing.assert_close(frame(9, 7), softmax_code(9, 7), rtol=0, atol=0)
    torch.testing.assert_close(softmax_code(9, 8), simplex_etf(9, 8), rtol=0, atol=0)
    assert frame(2, 1).shape == (2, 1)


def test_the_error_of_too_few_dimensions_names_the_remedy():
    with pytest.raises(
        ValueError, match=r"num_classes - 1 = 149 .* got 64; use softmax_code\(150, 64\)"
    ):
        simplex_etf(150, 64)
    with pytest.raises(ValueError, match=r"use softmax_code\(3, 2\)"):
        simplex_etf(3, 1)
    for make in (softmax_code, frame):
        with pytest.raises(ValueError, match=r"dim must be at least 2 .* got 1; pass dim=2"):
            make(3, 1)


@pytest.mark.parametrize("make", MAKERS)
def test_sizes_and_dtype_are_checked(make):
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        make(1, 4)
    with pytest.raises(ValueError, match="dim must be at least 1, got 0; pass num_classes - 1 = 4"):
        make(5, 0)
    with pytest.raises(TypeError, match=r"num_classes must be an int, got 5\.0"):
        make(5.0, 4)
    with pytest.raises(TypeError, match="dim must be an int, got None"):
        make(5, None)
    for dtype in (torch.int64, torch.complex64):
        with pytest.raises(TypeError, match=r"dtype must be a real floating type, got torch\."):
            make(5, 4, dtype=dtype)


def test_largest_cosine_of_rows_of_any_length_in_blocks(monkeypatch):
    rows = random_frame(50, 8, 0)
    cosines = rows @ rows.T
    cosines.fill_diagonal_(-1)
    monkeypatch.setattr("equiseg.frames._COSINES_AT_ONCE", 50 * 7)
    lengths = torch.linspace(0.1, 9, 50, dtype=torch.float64)[:, None]
    assert largest_cosine(lengths * rows) == pytest.approx(cosines.max().item(), abs=1e-12)
    assert largest_cosine(torch.tensor([[1.0, 0.0], [-2.0, 0.0]])) == -1
    assert isinstance(largest_cosine(rows.requires_grad_()), float)


def test_largest_cosine_refuses_zero_rows():
    with pytest.raises(ValueError, match=r"no zero row, got zeros in rows \[1\]"):
        largest_cosine(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    for shape in [(1, 4), (4,), (2, 3, 4)]:
        with pytest.raises(ValueError, match=r"shape \(K, D\) with K >= 2, got \("):
            largest_cosine(torch.ones(shape))
