"""Time of sparse convolution, compared with plain autograd and spconv, and of MinkUNet34C.

python -m benchmarks.speed.sparse [--rounds N]

Voxels are on floors, walls and boxes of rooms; 20 % are moved by a voxel, 10 % are missing. First
one SubmanifoldConv3d, forward and backward, with ready maps: ours with one and two threads, the
same sum by autograd (features[rows] @ weight, index_add, offset by offset), and spconv if it is
installed; they take turns. Then MinkUNet34C from 5k to 40k voxels: seconds for the maps, forward
and backward, and peak memory, with the slopes of line fits in logarithmic scale. spconv 2.3.8 asks
for a CUDA stream in its backward even on a CPU; it gets none. It uses one thread, because its rows
are wrong with two. Writes benchmarks/results/sparse.json.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import peak_extra_memory, ratio, save, seconds, table
from equiseg.models.sparse import MinkUNet34C, SparseTensor, SubmanifoldConv3d, VoxelSet

VOXELS, CHANNELS = 47_000, (32, 96)
GROWTH = (5_000, 10_000, 20_000, 40_000)
ROOM, HEIGHT, BOXES = 40, 28, 6  # in voxels: 4 x 4 x 2.8 m at 10 cm


def rooms(voxels: int, seed: int = 0) -> Tensor:
    """(N, 4) coordinates of rooms in a row, cut off at a number of voxels."""
    generator = torch.Generator().manual_seed(seed)
    parts: list[Tensor] = []
    while sum(map(len, parts)) < 1.5 * voxels:
        corner = torch.tensor([(len(parts) // (BOXES + 3)) * ROOM, 0, 0])
        sizes = [
            torch.tensor(size) for size in ((ROOM, ROOM, 1), (ROOM, 1, HEIGHT), (1, ROOM, HEIGHT))
        ]
        starts = [torch.zeros(3).long()] * 3
        for _ in range(BOXES):
            size = torch.randint(4, 14, (3,), generator=generator)
            free = torch.tensor([ROOM, ROOM, size[2] + 1]) - size
            starts.append((torch.rand(3, generator=generator) * free).long())
            sizes.append(size)
        for start, size in zip(starts, sizes, strict=True):
            cells = torch.cartesian_prod(*map(torch.arange, size.tolist()))
            surface = ((cells == 0) | (cells == size - 1)).any(1)
            parts.append(cells[surface] + start + corner)
    places = torch.cat(parts)
    moved = torch.rand(len(places), 1, generator=generator) < 0.2
    places = places + moved * torch.randint(-1, 2, places.shape, generator=generator)
    places = torch.unique(places, dim=0)
    places = places[torch.rand(len(places), generator=generator) < 0.9][:voxels]
    return torch.nn.functional.pad(places, (1, 0))


def plain_convolution(
    features: Tensor, weight: Tensor, pairs: list[tuple[Tensor, Tensor]]
) -> Tensor:
    """The plain implementation: autograd keeps every gathered block and every product."""
    output = features.new_zeros(len(features), weight.shape[2])
    for v, (source, target) in enumerate(pairs):
        output = output.index_add(0, target, features[source] @ weight[v])
    return output


def pairs_by_offset(voxels: VoxelSet) -> list[tuple[Tensor, Tensor]]:
    """Source and target rows of each offset."""
    there = voxels.kernel_map(3).there
    split = [
        (tile.source_P.long().split(tile.sizes), tile.target_P.long().split(tile.sizes))
        for tile in there.tiles
    ]
    pairs = [
        (torch.cat([s[v] for s, _ in split]), torch.cat([t[v] for _, t in split]))
        for v in there.offsets
    ]
    everyone = torch.arange(len(voxels))
    pairs[there.center or 0] = (everyone, everyone)
    return pairs


def spconv_convolution(x: SparseTensor, channels: int) -> Callable[[], Tensor] | None:
    """spconv's forward with its native algorithm, the only one on a CPU."""
    try:
        import spconv.pytorch as spconv
        from spconv.pytorch import ops
    except ImportError:
        return None
    ops.get_current_stream = lambda: 0
    extent = (x.coordinates[:, 1:].amax(0) + 1).tolist()
    layer = spconv.SubMConv3d(
        channels, channels, 3, bias=False, indice_key="x", algo=spconv.ConvAlgo.Native
    )
    places = (x.coordinates - x.coordinates.amin(0)).int().contiguous()
    given = spconv.SparseConvTensor(x.features, places, extent, int(x.coordinates[-1, 0]) + 1)
    return lambda: layer(given).features


def convolution(channels: int, rounds: int) -> dict[str, Any]:
    """One row of the first table."""
    torch.manual_seed(0)
    coordinates = rooms(VOXELS)
    features = torch.randn(len(coordinates), channels, requires_grad=True)
    x = SparseTensor(coordinates, features)
    layer = SubmanifoldConv3d(channels, channels, bias=False)
    pairs = pairs_by_offset(x.voxels)
    cotangent = torch.randn(len(coordinates), channels)

    def on(threads: int, forward: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(threads)
            features.grad = layer.weight.grad = None
            forward().backward(cotangent)

        return run

    def ours() -> Tensor:
        return layer(x).features

    def plain() -> Tensor:
        return plain_convolution(features, layer.weight, pairs)

    functions = {
        f"{name}, {threads} threads": on(threads, forward)
        for threads in (1, 2)
        for name, forward in {"ours": ours, "plain autograd": plain}.items()
    }
    theirs = spconv_convolution(x, channels)
    if theirs is not None:
        functions["spconv, 1 threads"] = on(1, theirs)
    taken = seconds(functions, rounds=rounds)
    one, two = taken["ours, 1 threads"], taken["ours, 2 threads"]
    row: dict[str, Any] = {"voxels": len(x), "channels": channels}
    row["neighbors"] = sum(len(source) for source, _ in pairs) / len(x)
    row |= {f"{name}: ms": 1e3 * statistics.median(t) for name, t in taken.items()}
    row["plain over ours, 1 thread"] = ratio(taken["plain autograd, 1 threads"], one)
    row["plain over ours, 2 threads"] = ratio(taken["plain autograd, 2 threads"], two)
    row["one over two threads"] = ratio(one, two)
    if theirs is not None:
        row["spconv over ours, 1 thread"] = ratio(taken["spconv, 1 threads"], one)
    operations = 6 * sum(len(source) for source, _ in pairs) * channels**2
    row["GFLOP/s, 1 thread"] = operations / statistics.median(one) / 1e9
    return row


def build_maps(coordinates: Tensor) -> VoxelSet:
    """All maps of a MinkUNet34C."""
    voxels = level = VoxelSet(coordinates)
    level.kernel_map(5)
    for _ in range(4):
        level.kernel_map(3)
        _ = level.kernel_map(2, level.coarser()).back
        level = level.coarser()
    level.kernel_map(3)
    return voxels


def network(voxels: int, threads: int, rounds: int) -> dict[str, Any]:
    """One row of the second table."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model, coordinates = MinkUNet34C(3, 200), rooms(voxels)
    features = torch.randn(len(coordinates), 3)
    x = SparseTensor.on(build_maps(coordinates), features)

    def step(x: SparseTensor) -> None:
        model(x).square().mean().backward()

    taken = seconds(
        {
            "maps": lambda: build_maps(coordinates),
            "forward": lambda: model(x),
            "both": lambda: step(x),
        },
        rounds=rounds,
    )
    backward = [
        both - forward for both, forward in zip(taken["both"], taken["forward"], strict=True)
    ]
    return {
        "voxels": len(coordinates),
        "threads": threads,
        "maps s": statistics.median(taken["maps"]),
        "forward s": statistics.median(taken["forward"]),
        "backward s": statistics.median(backward),
        # Includes the maps; the gradients of the weights exist from the steps before.
        "MB": peak_extra_memory(lambda: step(SparseTensor(coordinates, features))) / 1e6,
    }


def exponents(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Slope of each quantity over the number of voxels, both in logarithms."""
    sizes = np.log([row["voxels"] for row in rows])
    return {"threads": rows[0]["threads"]} | {
        f"{key} ~ voxels^": float(np.polyfit(sizes, np.log([row[key] for row in rows]), 1)[0])
        for key in ("maps s", "forward s", "backward s", "MB")
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    layers = [convolution(channels, arguments.rounds) for channels in CHANNELS]
    networks = {
        threads: [network(size, threads, max(3, arguments.rounds // 3)) for size in GROWTH]
        for threads in (1, 2)
    }
    fits = [exponents(rows) for rows in networks.values()]
    rows = [row for some in networks.values() for row in some]
    print(save("sparse", rows, convolution=layers, exponents=fits))
    print(table(layers), table(rows), table(fits), sep="\n\n")
