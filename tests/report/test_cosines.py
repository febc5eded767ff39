import pytest
import torch

from equiseg.collapse import Geometry
from equiseg.frames import simplex_etf
from equiseg.report.cosines import CosineMap, cosine_figure


@pytest.mark.parametrize("num_classes", [2, 6])
def test_a_simplex_looks_like_the_ideal(make_comparison, num_classes):
    comparison = make_comparison(num_classes=6)
    centers = torch.zeros(6, 8)
    centers[:num_classes] = simplex_etf(num_classes, 8, generator=torch.Generator().manual_seed(0))
    present = torch.arange(6) < num_classes
    geometry = Geometry.of(centers, present, centered=True)
    known = CosineMap(geometry.cosines_KK.numpy(), geometry.maximal_separation, num_classes)
    figure = cosine_figure({"ceco": known}, comparison.classes, comparison.groups)
    panel, ideal = figure.axes[:2]
    assert panel.get_xlabel() == "mean distance 0.000"
    cosines = panel.images[0].get_array()
    cell = cosines.shape[0] // 6
    assert cosines[cell // 2, cell + cell // 2] == pytest.approx(-1 / (num_classes - 1), abs=1e-6)
    assert cosines.mask[cell // 2, cell // 2]  # a class with itself
    if num_classes < 6:
        assert cosines.mask[-1, 0]  # absent
    assert ideal.get_title("left") == "ideal"
