"""The point cloud cards of the package, compared with the data they describe."""

from pathlib import Path

import numpy as np
import pytest

from equiseg.data import load_card
from equiseg.data.points.formats.semantic_kitti import LEARNING_MAP
from places import SHARED_DATA

IGN = SHARED_DATA / "ign_lidarhd"


def test_semantic_kitti_numbers_its_classes_as_the_benchmark_does():
    card = load_card("semantic_kitti", Path())
    assert len(card.class_names()) == 19
    assert card.ids_by_value() == LEARNING_MAP


@pytest.mark.parametrize(
    ("name", "root", "ignored"),
    [("ign_lidar_hd", IGN, {9, 64, 65, 66, 67}), ("ign_tiles", None, set())],
)
def test_ign_cards_name_every_class_that_occurs_and_no_other(name, root, ignored):
    laspy = pytest.importorskip("laspy")
    if root is not None and not root.is_dir():
        pytest.skip(f"{root} is not there")
    card = load_card(name, root)
    tiles = [laspy.read(file) for file in card.path.glob(card.points)]
    codes = {int(code) for tile in tiles for code in np.unique(tile.classification)}
    assert len(tiles) == {"ign_lidar_hd": 3, "ign_tiles": 2}[name]
    assert codes == set(card.classes) | ignored
