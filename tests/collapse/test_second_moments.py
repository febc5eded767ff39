"""The weights of pairs of cells, against maps that are one in a single cell."""

import torch

from equiseg.centers.label_sides import label_side
from equiseg.collapse import second_moments
from equiseg.collapse.second_moments import _CHUNK_ENTRIES, add_products, pixel_weights
from maps import K, batch, both_conventions, every_size
from reference.slow_moments import pixels_by_class


def dense(pairs, cells):
    """All of T as (K, U, U), from its half."""
    half_KUU = torch.zeros(K, cells, cells, dtype=torch.float64)
    index = pairs.class_E.unsqueeze(1), pairs.cell_E.unsqueeze(1), pairs.neighbor_ES
    half_KUU.index_put_(index, pairs.weight_ES, accumulate=True)
    return half_KUU + half_KUU.mT


@both_conventions
@every_size
def test_pairs_weigh_what_resized_impulses_have_in_common(sizes, align_corners):
    _, labels = batch(*sizes, images=1)
    cells = torch.Size(sizes[0]).numel()
    impulses = torch.eye(cells).reshape(1, cells, *sizes[0])
    pixels = pixels_by_class(impulses, labels, K, align_corners=align_corners)
    expected = torch.stack([torch.from_numpy(rows.T @ rows) for rows in pixels])
    actual = dense(pixel_weights(labels[0], sizes[0], 255, align_corners), cells)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@both_conventions
@every_size
def test_entries_are_those_of_the_label_side_class_by_class(sizes, align_corners):
    _, labels = batch(*sizes, images=1)
    pairs = pixel_weights(labels[0], sizes[0], 255, align_corners)
    cells = torch.Size(sizes[0]).numel()
    side = label_side(labels, K, sizes[0], align_corners=align_corners, dtype=torch.float64)
    key_E = pairs.class_E * cells + pairs.cell_E
    assert torch.equal(key_E, (side.class_E.long() * cells + side.cell_E).sort().values)
    row_sums_KU = torch.zeros(K, cells, dtype=torch.float64)
    row_sums_KU[side.class_E.long(), side.cell_E.long()] = side.weight_E
    torch.testing.assert_close(dense(pairs, cells).sum(2), row_sums_KU)


def test_a_class_of_many_cells_is_added_up_in_chunks():
    generator = torch.Generator().manual_seed(0)
    size = (3 * _CHUNK_ENTRIES + 5,)
    features = torch.randn(1, 2, *size, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (1, 2 * size[0]), generator=generator)
    sums_KD = torch.zeros(K, 2, dtype=torch.float64)
    squares_KDD = torch.zeros(K, 2, 2, dtype=torch.float64)
    add_products(sums_KD, squares_KDD, features[0], pixel_weights(labels[0], size, 255, False))
    pixels = pixels_by_class(features, labels, K)
    expected = torch.stack([torch.from_numpy(rows.T @ rows) for rows in pixels])
    torch.testing.assert_close(squares_KDD, expected, rtol=1e-10, atol=1e-10)
    sums = torch.stack([torch.from_numpy(rows.sum(0)) for rows in pixels])
    torch.testing.assert_close(sums_KD, sums, rtol=1e-10, atol=1e-10)


def test_keys_are_numbered_by_a_table_as_by_sorting(monkeypatch):
    keys = torch.randint(0, 50, (3, 40))
    for most in (1, 1 << 20):
        monkeypatch.setattr(second_moments, "_MOST_TABLE", most)
        found, places = second_moments._numbered(keys, 50)
        assert torch.equal(found[places], keys)
        assert torch.equal(found, keys.unique())
