"""Point clouds as .npz, as folders of .npy, and as range images."""

import numpy as np
import pytest

from equiseg.data.errors import DataError
from equiseg.data.points.formats.arrays import read_arrays
from places import SHARED_DATA

REAL = SHARED_DATA / "semantic_kitti"
XYZ = np.array([[0.5, 1, 2], [3, 4, 5], [-6, 7, 8.25]])
POINTCEPT = {
    "coord": XYZ.astype(np.float32),
    "color": np.array([[0, 51, 255], [255, 0, 0], [102, 102, 102]], np.uint8),
    "normal": np.array([[0, 0, 1], [0.6, 0, 0.8], [0, 0, 0]], np.float32),
    "segment200": np.array([[5], [-1], [199]]),
    "instance": np.array([0, -1, 3]),
}


def saved(place, arrays):
    """Save as an .npz or as a folder, depending on the name."""
    if place.suffix == ".npz":
        np.savez(place, **arrays)
    else:
        place.mkdir()
        for name, values in arrays.items():
            np.save(place / f"{name}.npy", values)
    return place


@pytest.fixture(params=["scene0000_00", "scan.npz"])
def place(tmp_path, request):
    return tmp_path / request.param


def test_the_pointcept_layout(place):
    cloud = read_arrays(saved(place, POINTCEPT), ["rgb", "normal", "instance"])
    np.testing.assert_array_equal(cloud.xyz_N3, XYZ)
    np.testing.assert_allclose(cloud.attributes["rgb"], POINTCEPT["color"] / 255, rtol=1e-6)
    np.testing.assert_allclose(cloud.attributes["normal"], POINTCEPT["normal"], rtol=1e-6)
    np.testing.assert_array_equal(cloud.attributes["instance"], [[0], [-1], [3]])
    np.testing.assert_array_equal(cloud.codes_N, [5, -1, 199])
    types = (cloud.xyz_N3.dtype, cloud.attributes["rgb"].dtype, cloud.codes_N.dtype)
    assert types == (np.float64, np.float32, np.int64)


def test_plain_names_in_any_case(place):
    arrays = {"XYZ": XYZ, "Intensity": np.array([0, 0.5, 1]), "Labels": np.array([1.0, 2, 3])}
    cloud = read_arrays(saved(place, arrays), ["intensity"])
    np.testing.assert_array_equal(cloud.attributes["intensity"], [[0], [0.5], [1]])
    np.testing.assert_array_equal(cloud.codes_N, [1, 2, 3])


def test_without_labels(place):
    assert read_arrays(saved(place, {"xyz": XYZ})).codes_N is None


@pytest.mark.parametrize(
    ("color", "scale"),
    [
        (np.array([0, 0.25, 1]), 1),
        (np.array([0, 127.5, 200]), 255),
        (np.array([0, 1, 1], np.uint8), 255),
        (np.array([0, 1, 200], np.uint16), 65535),
        (np.array([0, 1, 200]), 255),
        (np.array([0, 1, 256]), 65535),
    ],
)
def test_the_scale_of_colours(place, color, scale):
    cloud = read_arrays(saved(place, {"xyz": XYZ, "color": np.tile(color, (3, 1))}), ["rgb"])
    np.testing.assert_allclose(cloud.attributes["rgb"], [color / scale] * 3, rtol=1e-6)


def range_image(channels):
    feat_HWC = np.zeros((2, 4, channels), np.float32)
    feat_HWC[0, 1, :4] = [3, 4, 0, 0.5]
    feat_HWC[1, 3, :4] = [0, 0, -2, 1]
    if channels == 5:
        feat_HWC[..., 4] = np.linalg.norm(feat_HWC[..., :3], axis=-1)
    return {"feat": feat_HWC, "label": np.arange(8).reshape(2, 4)}


@pytest.mark.parametrize("channels", [4, 5])
def test_a_range_image_has_points_where_the_range_is_above_0(place, channels):
    cloud = read_arrays(saved(place, range_image(channels)), ["range", "intensity"])
    np.testing.assert_array_equal(cloud.xyz_N3, [[3, 4, 0], [0, 0, -2]])
    np.testing.assert_array_equal(cloud.attributes["range"], [[5], [2]])
    np.testing.assert_array_equal(cloud.attributes["intensity"], [[0.5], [1]])
    np.testing.assert_array_equal(cloud.codes_N, [1, 7])


@pytest.mark.skipif(not REAL.is_dir(), reason="no real data next to the checkout")
def test_real_range_images():
    files = sorted(REAL.glob("*/*.npz"))
    assert len(files) == 26
    for file in files:
        cloud = read_arrays(file, ["intensity", "range"])
        distance = np.linalg.norm(cloud.xyz_N3, axis=1)
        np.testing.assert_allclose(cloud.attributes["range"][:, 0], distance, rtol=1e-3)
        assert 0 <= cloud.attributes["intensity"].min() <= cloud.attributes["intensity"].max() <= 1
        assert set(np.unique(cloud.codes_N)) <= set(range(20))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"coord": XYZ[:, :2]}, r"coordinates must be of shape \(N, 3\), got \(3, 2\)"),
        ({"coord": XYZ[:0]}, "no points"),
        ({"coord": np.where(XYZ > 7, np.nan, XYZ)}, "NaN or infinite at 1 of 3 points"),
        ({"coord": XYZ.astype(np.float32) + np.float32(1e7)}, "float32 resolve only 1 m"),
        ({"segment200": np.array([1, 2])}, r"3 points, but labels of shape \(2,\)"),
        ({"segment200": np.array([1, 2, np.nan])}, r"whole numbers, got \[nan\]"),
        ({"color": np.zeros((2, 3), np.uint8)}, r"'rgb' must be of shape \(3, 3\)"),
        ({"color": np.zeros((3, 4), np.uint8)}, r"'rgb' must be of shape \(3, 3\)"),
        ({"color": XYZ}, "'rgb' must lie in 0..1, 0..255 or 0..65535, got -6 to"),
        ({"color": XYZ.astype("U9")}, "'color' must hold numbers"),
        ({"color": np.array([None] * 3)}, "'color' cannot be read.*pickle"),
        ({"color": np.float32(1)}, "'color' must hold numbers, one row per point"),
    ],
)
def test_broken_arrays(place, changes, said):
    saved(place, POINTCEPT | changes)
    with pytest.raises(DataError, match=said) as error:
        read_arrays(place, ["rgb"])
    assert str(error.value).startswith(str(place))


def test_a_double_keeps_ten_million(place):
    cloud = read_arrays(saved(place, {"xyz": XYZ + 1e7}))
    np.testing.assert_array_equal(cloud.xyz_N3, XYZ + 1e7)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"points3d": XYZ}, r"no coordinates under any of the names .* only \['points3d'\]"),
        ({"xyz": XYZ, "segment": np.arange(3)}, r"no attribute 'rgb', only coordinates"),
        ({"feat": np.zeros((2, 4, 3))}, r"\(H, W, 4 or 5\), got \(2, 4, 3\)"),
        (range_image(5) | {"label": np.zeros((2, 3))}, r"labels of shape \(2, 3\)"),
        ({"feat": np.full((2, 4, 5), np.nan)}, "no attribute 'rgb'"),
    ],
)
def test_arrays_that_are_missing(place, arrays, said):
    with pytest.raises(DataError, match=said):
        read_arrays(saved(place, arrays), ["rgb"])


def test_nan_in_a_range_image_is_an_error(place):
    arrays = range_image(4)
    arrays["feat"][0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite at 1 of 3 points"):
        read_arrays(saved(place, arrays))


@pytest.mark.parametrize("keep", [0, 20, 300, -30])
def test_a_truncated_npz_is_named(tmp_path, keep):
    file = saved(tmp_path / "scan.npz", POINTCEPT)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"scan\.npz: is not a readable \.npz"):
        read_arrays(file)


def test_a_truncated_npy_is_named(tmp_path):
    folder = saved(tmp_path / "scene", POINTCEPT)
    (folder / "coord.npy").write_bytes((folder / "coord.npy").read_bytes()[:-4])
    with pytest.raises(DataError, match=r"array 'coord' of shape .* cut or damaged"):
        read_arrays(folder)


def test_an_array_under_the_name_of_an_archive(tmp_path):
    np.save(tmp_path / "scan.npy", XYZ)
    (tmp_path / "scan.npy").rename(tmp_path / "scan.npz")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        read_arrays(tmp_path / "scan.npz")


def test_another_kind_of_file(tmp_path):
    with pytest.raises(DataError, match=r"\.npz or a folder of \.npy"):
        read_arrays(tmp_path / "scan.pth")
