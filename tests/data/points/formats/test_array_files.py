"""NPZ and NPY files that are not what their headers say, and copies with other labels."""

import zipfile

import numpy as np
import pytest

from equiseg.data.errors import DataError
from equiseg.data.points.formats import array_files
from equiseg.data.points.formats.array_files import array_names, load_arrays
from equiseg.data.points.formats.arrays import array_parts, read_arrays, write_arrays

XYZ = np.arange(12.0).reshape(4, 3)


def npy(file, shape, dtype="<f8", content=b""):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content)


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ("(1000000000000, 3)", "<f8", "takes 24000000000000 bytes, the file has 96"),
        ("(3, 3)", "<f8", "takes 72 bytes, the file has 96"),
        ("(-4, -3)", "<f8", "cut or damaged"),
        ("()", "<f8", "one row per point"),
        ("(4, 3)", "|O", "pickle"),
        ("(4, 3)", "<c16", "must hold numbers"),
        ("(4,", "<f8", "cannot be read"),
        ("(" * 5000, "<f8", "cannot be read"),
    ],
)
def test_a_header_that_cannot_be_true(tmp_path, shape, dtype, said):
    folder = tmp_path / "scene"
    folder.mkdir()
    npy(folder / "xyz.npy", shape, dtype, XYZ.tobytes())
    with zipfile.ZipFile(tmp_path / "scan.npz", "w") as archive:
        archive.write(folder / "xyz.npy", "xyz.npy")
    for place in (folder, tmp_path / "scan.npz"):
        with pytest.raises(DataError, match=said) as error:
            read_arrays(place)
        assert str(error.value).startswith(str(place))


def test_arrays_of_more_memory_than_is_allowed(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", xyz=np.zeros((1000, 3)), labels=np.zeros(1000))
    monkeypatch.setattr(array_files, "check_memory", _limit(10_000))
    with pytest.raises(DataError, match=r"bomb\.npz: arrays of 32256 bytes"):
        read_arrays(tmp_path / "bomb.npz")


def _limit(most):
    from equiseg.foreign_files import check_memory

    return lambda path, what, needed: check_memory(path, what, needed, most)


def test_a_wrong_checksum_is_an_error(tmp_path):
    file = tmp_path / "scan.npz"
    np.savez(file, xyz=XYZ)
    content = bytearray(file.read_bytes())
    content[content.index(XYZ.tobytes()) + 8 * 5] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"array 'xyz' cannot be read.*CRC"):
        read_arrays(file)


def test_hidden_files_are_no_arrays(tmp_path):
    np.save(tmp_path / "xyz.npy", XYZ)
    for name in ("._xyz.npy", ".hidden.npy"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert array_names(tmp_path) == {"xyz": "xyz"}


def test_two_names_that_differ_in_case(tmp_path):
    np.savez(tmp_path / "scan.npz", xyz=XYZ, XYZ=XYZ)
    with pytest.raises(DataError, match="two arrays named 'xyz' and 'XYZ'"):
        read_arrays(tmp_path / "scan.npz")


def test_a_folder_is_read_in_parts(tmp_path):
    np.save(tmp_path / "xyz.npy", XYZ)
    np.save(tmp_path / "rgb.npy", np.array([[0, 0, 0], [0, 0, 1], [0, 2, 0], [100, 0, 0.0]]))
    parts = list(array_parts(tmp_path, ["rgb"], points=3))
    assert [len(part) for part in parts] == [3, 1]
    # The scale is of the whole file, not of its parts.
    np.testing.assert_allclose(parts[0].attributes["rgb"][2], [0, 2 / 255, 0], rtol=1e-6)


def test_the_labels_are_chosen(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, segment20=np.arange(4), segment200=np.arange(4) + 9)
    with pytest.raises(DataError, match="'segment20' or 'segment200'"):
        read_arrays(tmp_path / "a.npz")
    cloud = read_arrays(tmp_path / "a.npz", ["segment20"], "segment200")
    assert cloud.codes_N.tolist() == [9, 10, 11, 12]


@pytest.mark.parametrize("name", ["scan.npz", "scene"])
@pytest.mark.parametrize(
    ("there", "written"),
    [
        ({}, "labels"),
        ({"segment": np.zeros((4, 1), np.int16)}, "segment"),
        ({"segment20": np.zeros(4), "segment200": np.zeros(4)}, "prediction"),
    ],
)
def test_a_copy_has_other_labels_and_all_else_as_it_was(tmp_path, name, there, written):
    source, target = tmp_path / "in" / name, tmp_path / "out" / name
    arrays = {"xyz": XYZ, "quality": np.array([3, 1, 2, 0], np.uint8)} | there
    source.parent.mkdir()
    if name == "scene":
        source.mkdir()
        for key, values in arrays.items():
            np.save(source / f"{key}.npy", values)
    else:
        np.savez_compressed(source, **arrays)
    write_arrays(source, target, np.array([4, 3, 2, 300]))
    copied = load_arrays(target, {key: key for key in [*arrays, written]})
    assert array_names(target).keys() == {*arrays, written}
    assert copied[written].reshape(-1).tolist() == [4, 3, 2, 300]
    for key, values in arrays.items():
        assert copied[key].shape == values.shape
        if key != written:
            assert copied[key].dtype == values.dtype
            np.testing.assert_array_equal(copied[key], values)
    assert [path.name for path in target.parent.iterdir()] == [name]


def test_a_range_image_stays_an_image(tmp_path):
    feat = np.zeros((2, 3, 5), np.float32)
    feat[0, 1] = feat[1, 2] = [3, 4, 0, 1, 5]
    np.savez(tmp_path / "a.npz", feat=feat)
    write_arrays(tmp_path / "a.npz", tmp_path / "b.npz", np.array([7, 8]))
    with np.load(tmp_path / "b.npz") as copied:
        assert copied["labels"].tolist() == [[-1, 7, -1], [-1, -1, 8]]
        np.testing.assert_array_equal(copied["feat"], feat)
    np.savez(tmp_path / "a.npz", feat=feat, label=np.full((2, 3), 50, np.uint8))
    write_arrays(tmp_path / "a.npz", tmp_path / "b.npz", np.array([7, 8]))
    with np.load(tmp_path / "b.npz") as copied:
        assert copied["label"].tolist() == [[50, 7, 50], [50, 50, 8]]
        assert copied["label"].dtype == np.uint8
