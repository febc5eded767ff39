"""Time of one pass of the class moments, compared with the forward pass of the network.

python -m benchmarks.collapse.single_pass [--threads N] [--rounds N]

One image of 512x512, 150 classes; UPerNet-Swin-T, whose time does not depend on its weights, and
feature maps 128x128. "label" takes the moments, the first and the second, at label size, "feature"
the second at the size of the maps, both in float64. "resized" is F.interpolate and a product for
every class, in float64 as well. In noise, every pixel is drawn independently, which is the worst
case. All functions take turns. Writes benchmarks/results/collapse_pass.json.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import peak_extra_memory, ratio, save, seconds, table
from benchmarks.speed.routes import IGNORED, regions
from equiseg.collapse.moments import ClassMoments, Resolution
from equiseg.models.build import build_model

CLASSES, SMALL, LARGE = 150, 128, 512


def resized(features: Tensor, labels: Tensor) -> Tensor:
    """(K, D, D) second moments of the features at the size of the labels."""
    maps = F.interpolate(features.double(), labels.shape[1:], mode="bilinear")
    rows_ND, ids = maps.movedim(1, -1).flatten(0, -2), labels.flatten()
    squares_KDD = rows_ND.new_zeros(CLASSES, rows_ND.shape[1], rows_ND.shape[1])
    for class_ in range(CLASSES):
        of_class_ND = rows_ND[ids == class_]
        squares_KDD[class_] = of_class_ND.T @ of_class_ND
    return squares_KDD


def updating(
    features: Tensor, labels: Tensor, resolution: Resolution = "label"
) -> Callable[[], None]:
    """One pass over one image."""
    moments = ClassMoments.zeros(
        CLASSES, features.shape[1], ignore_index=IGNORED, resolution=resolution
    )
    return lambda: moments.update(features, labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = build_model("upernet-swin-t", CLASSES).eval()
    with torch.inference_mode():
        image = torch.rand(1, 3, LARGE, LARGE)
        narrow, wide = (torch.randn(1, dim, SMALL, SMALL) for dim in (256, 512))
        labels, noise = regions(1, CLASSES, LARGE), torch.randint(0, CLASSES, (1, LARGE, LARGE))
        moments = ClassMoments.zeros(CLASSES, 256, ignore_index=IGNORED)
        moments.update(narrow, labels)
        torch.testing.assert_close(moments.squares_KDD, resized(narrow, labels))
        forward = "forward of the network"
        passes: dict[str, Callable[[], object]] = {
            forward: lambda: network(image),
            "label, D 256": updating(narrow, labels),
            "feature, D 256": updating(narrow, labels, "feature"),
            "label, D 512": updating(wide, labels),
            "label, D 256, noise": updating(narrow, noise),
            "resized, D 256": lambda: resized(narrow, labels),
        }
        taken = seconds(passes, rounds=arguments.rounds)
        rows = [
            {
                "pass": name,
                "ms": 1e3 * statistics.median(taken[name]),
                "forward / pass": ratio(taken[forward], taken[name]),
                "extra MB": peak_extra_memory(function) / 1e6,
            }
            for name, function in passes.items()
        ]
    print(save("collapse_pass", rows))
    print(table(rows))
