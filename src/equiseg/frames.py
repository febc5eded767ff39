"""Fixed unit directions for the classes: the simplex where it fits, else the softmax code.

A frame is a (K, D) matrix, one unit row per class, that never learns. Every frame here is made in
float64 on the CPU and cast at the end: a QR in float32 misses 1e-7 once in twenty draws.

With `generator=None` a frame uses a private generator with a fixed seed, never torch's global one.
So every rank and every run on one kind of machine gets the same frame, and making a frame does not
change the random numbers of the training. On another machine, or with another number of threads, a
numerical code may converge to another optimum: save the frame if a run may move.

Shapes: R restarts, K classes, D dim.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

_SEED = 0x5EED
_COSINES_AT_ONCE = 2**22  # 32 MiB of float64, whatever K is
_FEWEST_STEPS = 40  # of a numerical code, however large


def simplex_etf(
    num_classes: int,
    dim: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make a simplex equiangular tight frame: unit rows, all cosines -1/(K-1), sum zero.

    K points that sum to zero span K - 1 dimensions, so the exact simplex exists for every
    dim >= K - 1. The usual form, sqrt(K/(K-1)) U (I - 11^T/K) with U from a QR, needs dim >= K;
    this function starts from the Helmert basis of the centered subspace and rotates it by a
    uniformly random orthonormal map. Source: Papyan, Han and Donoho (PNAS 2020).

    Args:
        num_classes: K, at least 2.
        dim: D, at least K - 1.
        generator: source of the random orientation; None is a fixed seed (see the module).
        dtype: of the result; any real floating type.

    Returns:
        (K, D) frame on the CPU, exact to the rounding of `dtype`.

    Raises:
        ValueError: if num_classes < 2 or dim < num_classes - 1.
        TypeError: if a size is not an int or dtype is not a real floating type.

    Examples:
        >>> from equiseg import simplex_etf
        >>> frame_KD = simplex_etf(4, 8)
        >>> cosines_KK = frame_KD @ frame_KD.T
        >>> round(cosines_KK[0, 0].item(), 4), round(cosines_KK[0, 1].item(), 4)
        (1.0, -0.3333)
    """
    _check(num_classes, dim, dtype)
    if dim < num_classes - 1:
        raise ValueError(
            f"dim must be at least num_classes - 1 = {num_classes - 1} for an exact simplex, got "
            f"{dim}; use softmax_code({num_classes}, {max(dim, 2)}) instead"
        )
    return _orient(_centered_simplex(num_classes), dim, generator).to(dtype)


def softmax_code(
    num_classes: int,
    dim: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make a softmax code: unit rows with the largest minimum one-vs-rest margin.

    The margin of class k is the distance from w_k to the convex hull of the other rows; the code
    maximises the smallest one. A normalised network collapses to it when K > D + 1 (Jiang et al.
    2023, arXiv 2310.05351), and to the simplex for fewer classes. By size:

    ==================  =========================================================  ==============
    num_classes         code                                                       largest cosine
    ==================  =========================================================  ==============
    K <= D + 1          the simplex, exact                                         -1/(K-1)
    D + 2 <= K <= 2D    K - D mutually orthogonal simplices, exact, optimal:       0
                        the margin is 1, and none can be larger. The
                        cross-polytope when K = 2D.
    D = 2, K > 4        the regular K-gon, exact                                   cos(2 pi / K)
    K > 2D, D > 2       found numerically                                          `largest_cosine`
    ==================  =========================================================  ==============

    The numerical case minimises the largest cosine c between two rows (the Tammes problem), by
    momentum descent on an annealed log-sum-exp. This bounds the margin: h = w_k separates w_k from
    every other row by at least 1 - c, and the margin is exactly 1 - c wherever c w_k lies in the
    hull of the nearest neighbours of w_k. It is not known whether the two problems agree for all
    sizes; they agree in every case computed, and the tests bound the margin from both sides.

    The result is a local optimum. Up to 32 classes it is the best of 64 starts, and it reaches the
    best known spherical codes where tested (7 to 20 and 24 classes in three dimensions, 10 and 24
    in four, 16 in five, 27 in six, 56 in seven; but not 72 in six: 0.53 instead of 0.5). Starts and
    steps decrease as K grows, down to one start of 40 steps in float32. That is far better than
    random directions (10,000 classes in 256 dimensions: 0.15 instead of about 0.35), but not proven
    optimal. On one core 200 classes in 64 dimensions take a second, 10,000 in 256 a minute; memory
    grows with K D, not K^2.

    Args:
        num_classes: K, at least 2.
        dim: D, at least 2.
        generator: source of the starts and the orientation; None is a fixed seed (see the module).
        dtype: of the result; any real floating type.

    Returns:
        (K, D) frame on the CPU; read its largest cosine with `largest_cosine`.

    Raises:
        ValueError: if num_classes < 2 or dim < 2.
        TypeError: if a size is not an int or dtype is not a real floating type.
    """
    _check(num_classes, dim, dtype)
    if dim < 2:
        raise ValueError(
            f"dim must be at least 2 for a softmax code, got {dim}; pass dim=2 or more"
        )
    if num_classes <= 2 * dim:
        code_KD = _orient(_orthogonal_simplices(num_classes, dim), dim, generator)
    elif dim == 2:
        code_KD = _orient(_polygon(num_classes), dim, generator)
    else:
        with torch.autocast("cpu", enabled=False):  # it would take the float32 products in bfloat16
            code_KD = _spread(num_classes, dim, generator)
    return code_KD.to(dtype)


def frame(
    num_classes: int,
    dim: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make the best frame for these sizes: the simplex where it exists, else the softmax code.

    Args:
        num_classes: K, at least 2.
        dim: D, at least 1 for two classes and 2 for more.
        generator: source of randomness; None is a fixed seed (see the module).
        dtype: of the result; any real floating type.

    Returns:
        (K, D) frame on the CPU.

    Raises:
        ValueError: if num_classes < 2 or dim is too small for any frame.
        TypeError: if a size is not an int or dtype is not a real floating type.
    """
    _check(num_classes, dim, dtype)
    make = simplex_etf if dim >= num_classes - 1 else softmax_code
    return make(num_classes, dim, generator=generator, dtype=dtype)


def largest_cosine(frame_KD: Tensor) -> float:
    """Measure the largest cosine between two different rows; -1/(K-1) is the least possible.

    Computed in float64, in blocks of rows: memory does not grow with K^2.

    Args:
        frame_KD: (K, D) rows of any length except zero, K >= 2, on any device.

    Raises:
        ValueError: if the shape is not (K >= 2, D) or a row is zero.
    """
    if frame_KD.ndim != 2 or len(frame_KD) < 2:
        raise ValueError(
            f"frame_KD must have shape (K, D) with K >= 2, got {tuple(frame_KD.shape)}; "
            "pass one row per class"
        )
    rows_KD = frame_KD.detach().to("cpu", torch.float64)
    zero_rows = (rows_KD == 0).all(1).nonzero().flatten().tolist()
    if zero_rows:
        raise ValueError(
            f"frame_KD must have no zero row, got zeros in rows {zero_rows[:8]}; "
            "leave absent classes out, as in centers_KD[present_K]"
        )
    return float(_largest_cosines(F.normalize(rows_KD, dim=1)[None]))


def _check(num_classes: int, dim: int, dtype: torch.dtype) -> None:
    for name, value in (("num_classes", num_classes), ("dim", dim)):
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an int, got {value!r}; pass int({name})")
    if num_classes < 2:
        raise ValueError(
            f"num_classes must be at least 2, got {num_classes}; a frame separates classes"
        )
    if dim < 1:
        raise ValueError(
            f"dim must be at least 1, got {dim}; pass num_classes - 1 = {num_classes - 1} or more "
            "for a simplex"
        )
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a real floating type, got {dtype}; pass torch.float32")


def _normal(*shape: int, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        generator = torch.Generator("cpu").manual_seed(_SEED)
    device = generator.device
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=device).cpu()


def _orient(rows_KM: Tensor, dim: int, generator: torch.Generator | None) -> Tensor:
    """Rotate (K, M) rows into D >= M dimensions by a uniformly random orthonormal map."""
    q_DM, r_MM = torch.linalg.qr(_normal(dim, rows_KM.shape[1], generator=generator))
    # A QR does not fix the signs; a positive diagonal makes it unique and the map uniform.
    turn_MD: Tensor = (q_DM * r_MM.diagonal().sign()).mT
    return rows_KM @ turn_MD


def _centered_simplex(num_classes: int) -> Tensor:
    """(K, K-1) unit rows of the simplex: the Helmert matrix without its constant column."""
    j = torch.arange(1, num_classes, dtype=torch.float64, device="cpu")
    helmert = torch.ones(num_classes, num_classes - 1, dtype=torch.float64, device="cpu").triu()
    helmert.diagonal(-1).copy_(-j)
    return helmert / (j * (j + 1)).sqrt() * math.sqrt(num_classes / (num_classes - 1))


def _orthogonal_simplices(num_classes: int, dim: int) -> Tensor:
    """K - D simplices of nearly equal size in orthogonal subspaces; one simplex if K <= D + 1.

    Each simplex has one class more than it has dimensions, so K - D of them fill D dimensions.
    With two or more, the origin lies in the hull of the others for every row, and no cosine is
    positive: each one-vs-rest margin is 1, the maximum for K >= D + 2 (arXiv 2310.05351).
    """
    count = max(num_classes - dim, 1)
    sizes = [num_classes // count + (i < num_classes % count) for i in range(count)]
    blocks: Tensor = torch.block_diag(*map(_centered_simplex, sizes))  # type: ignore[no-untyped-call]
    return blocks


def _polygon(num_classes: int) -> Tensor:
    turns = torch.arange(num_classes, dtype=torch.float64, device="cpu") / num_classes
    angles = 2 * math.pi * turns
    return torch.stack((angles.cos(), angles.sin()), 1)


def _cosines(unit_RKD: Tensor) -> Iterator[Tensor]:
    """Yield the cosines of some rows with all rows, (R, rows, K); -inf on the diagonal."""
    restarts, num_classes, _ = unit_RKD.shape
    at_once = max(1, _COSINES_AT_ONCE // (restarts * num_classes))
    for start in range(0, num_classes, at_once):
        cosines = unit_RKD[:, start : start + at_once] @ unit_RKD.mT
        cosines.diagonal(start, 1, 2).fill_(-math.inf)
        yield cosines


def _largest_cosines(unit_RKD: Tensor) -> Tensor:
    return torch.stack([cosines.amax((1, 2)) for cosines in _cosines(unit_RKD)]).amax(0)


def _spread(num_classes: int, dim: int, generator: torch.Generator | None) -> Tensor:
    """Push random unit rows apart: momentum descent of (1/s) log sum_{j != k} exp(s cos_kj).

    The sharpness s grows geometrically: at first all rows repel each other, at the end only the
    closest pairs do. Restarts begin at different sharpness: soft starts find the regular codes,
    sharp starts stay in their initial basin.
    """
    restarts = min(64, max(1, 2**16 // num_classes**2))
    steps = min(1000, max(_FEWEST_STEPS, 5 * 10**10 // (num_classes**2 * dim)))
    # With few steps the code stops far from its optimum; float64 would only double the time.
    precision = torch.float64 if steps > _FEWEST_STEPS else torch.float32
    sharpest = steps**2 / 10  # 1e5 after 1000 steps leaves an error of about 1e-5 in the cosine
    softest = torch.logspace(
        math.log10(2), math.log10(50), restarts, dtype=precision, device="cpu"
    ).view(-1, 1, 1)

    rows_RKD = _normal(restarts, num_classes, dim, generator=generator)
    code_RKD = F.normalize(rows_RKD, dim=-1).to(precision)
    velocity_RKD = torch.zeros_like(code_RKD)
    # exp stays in range because a step moves the largest cosine by the order of 1/s only.
    largest = torch.ones_like(softest)
    for step in range(steps):
        sharpness = softest * (sharpest / softest) ** (step / (steps - 1))
        forces, totals, peaks = [], [], []
        for cosines in _cosines(code_RKD):
            peaks.append(cosines.amax((1, 2), keepdim=True))
            weights = cosines.sub_(largest).mul_(sharpness).exp_()
            forces.append(weights @ code_RKD)
            totals.append(weights.sum(-1, keepdim=True))
        largest = torch.stack(peaks).amax(0)
        # Scaled by the most crowded row: a step is stable even if only a few pairs are close.
        force_RKD = torch.cat(forces, 1) / torch.cat(totals, 1).amax(1, keepdim=True)
        velocity_RKD = 0.9 * velocity_RKD - 4 / sharpness * force_RKD
        velocity_RKD -= (velocity_RKD * code_RKD).sum(-1, keepdim=True) * code_RKD
        code_RKD = F.normalize(code_RKD + velocity_RKD, dim=-1)
    best_KD = code_RKD[_largest_cosines(code_RKD).argmin()]
    return F.normalize(best_KD.double(), dim=-1)
