"""PLY files: every byte order, elements before and after the vertices, and broken files."""

import struct
from pathlib import Path

import numpy as np
import pytest

from equiseg.data.errors import DataError
from equiseg.data.points.formats.ply import ply_parts, read_ply, write_ply

XYZ = np.array([[0.5, 1, 2], [3, 4, 5], [-6, 7, 8.25]])
RGB = np.array([[0, 51, 255], [255, 0, 0], [102, 102, 102]], np.uint8)
CODES = np.array([2, 7, 1163])
FACES = [[0, 1, 2], [2, 1, 0, 1]]
VERTEX = [
    ("float", "x"),
    ("float", "y"),
    ("float", "z"),
    ("uchar", "red"),
    ("uchar", "green"),
    ("uchar", "blue"),
    ("ushort", "label"),
]
LETTERS = {"float": "f", "double": "d", "uchar": "B", "ushort": "H", "int": "i"}


def rows():
    return [
        [*xyz, *map(int, rgb), int(code)] for xyz, rgb, code in zip(XYZ, RGB, CODES, strict=True)
    ]


def ply(file, form, *, vertex=VERTEX, rows=None, faces_first=False, promised=None):
    """Write a mesh number by number, independently of the writer in the package."""
    rows = globals()["rows"]() if rows is None else rows
    element = [f"element vertex {len(rows) if promised is None else promised}"]
    element += [f"property {kind} {name}" for kind, name in vertex]
    face = [f"element face {len(FACES)}", "property list uchar int vertex_indices"]
    face += ["property float quality"]
    if form == "ascii":
        points = "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
        faces = "".join(f"{len(f)} {' '.join(map(str, f))} 0.5\n" for f in FACES).encode()
    else:
        order = ">" if "big" in form else "<"
        points = b"".join(
            struct.pack(order + "".join(LETTERS[kind] for kind, _ in vertex), *row) for row in rows
        )
        faces = b"".join(struct.pack(f"{order}B{len(f)}if", len(f), *f, 0.5) for f in FACES)
    parts = [(element, points), (face, faces)][:: -1 if faces_first else 1]
    header = ["ply", f"format {form} 1.0", "comment by hand", *parts[0][0], *parts[1][0]]
    file.write_bytes("\n".join([*header, "end_header\n"]).encode() + parts[0][1] + parts[1][1])
    return file


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "scan.ply"


@pytest.mark.parametrize("faces_first", [False, True])
@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_vertices_are_read_between_other_elements(file, form, faces_first):
    cloud = read_ply(ply(file, form, faces_first=faces_first), ["rgb"])
    np.testing.assert_array_equal(cloud.xyz_N3, XYZ)
    np.testing.assert_allclose(cloud.attributes["rgb"], RGB / 255, rtol=1e-6)
    np.testing.assert_array_equal(cloud.codes_N, CODES)
    types = (cloud.xyz_N3.dtype, cloud.attributes["rgb"].dtype, cloud.codes_N.dtype)
    assert types == (np.float64, np.float32, np.int64)


def test_lines_may_end_as_on_windows(file):
    ply(file, "ascii")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read_ply(file).xyz_N3, XYZ)


def test_attributes_are_composed_and_scaled(file):
    names = ["x", "y", "z", "nx", "ny", "nz", "scalar_Intensity"]
    names += ["return_number", "number_of_returns", "Quality"]
    values = [[0, 0, 0, 0, 3, 4, 16384, 1, 7, -2.5], [1, 1, 1, 0, 0, 0, 65535, 2, 7, 9]]
    ply(file, "binary_little_endian", vertex=[("double", n) for n in names], rows=values)
    cloud = read_ply(file, ["quality", "normal", "returns", "intensity"])
    assert list(cloud.attributes) == ["quality", "normal", "returns", "intensity"]
    expected = {
        "quality": [[-2.5], [9]],
        "normal": [[0, 0.6, 0.8], [0, 0, 0]],
        "returns": [[1 / 7, 1], [2 / 7, 1]],
        "intensity": [[16384], [65535]],  # of a type without an implied scale
    }
    for name, values in expected.items():
        np.testing.assert_allclose(cloud.attributes[name], values, rtol=1e-6)
    assert cloud.codes_N is None


def test_colours_of_16_bit_keep_their_scale_even_if_dark(file):
    vertex = [*VERTEX[:3], ("ushort", "red"), ("ushort", "green"), ("ushort", "blue")]
    ply(file, "ascii", vertex=vertex, rows=[[0, 0, 0, 0, 51, 200]])
    expected = np.array([[0, 51, 200]]) / 65535
    np.testing.assert_allclose(read_ply(file, ["rgb"]).attributes["rgb"], expected, rtol=1e-6)


def test_written_files_are_read_unchanged(file):
    write_ply(file, XYZ, rgb_N3=RGB, labels_N=CODES)
    assert b"property float x\n" in file.read_bytes()
    cloud = read_ply(file, ["rgb"])
    np.testing.assert_array_equal(cloud.xyz_N3, XYZ)
    np.testing.assert_allclose(cloud.attributes["rgb"], RGB / 255, rtol=1e-6)
    np.testing.assert_array_equal(cloud.codes_N, CODES)


def test_large_coordinates_are_written_in_double(file):
    xyz_N3 = XYZ + np.array([652_345.123, 6_861_234.567, 0])
    write_ply(file, xyz_N3)
    np.testing.assert_array_equal(read_ply(file).xyz_N3, xyz_N3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"xyz_N3": XYZ[:, :2]}, "xyz_N3"),
        ({"xyz_N3": XYZ, "rgb_N3": RGB / 255}, "rgb_N3"),
        ({"xyz_N3": XYZ, "labels_N": CODES[:2]}, "labels_N"),
        ({"xyz_N3": XYZ, "labels_N": CODES + 0.5}, "labels_N"),
    ],
)
def test_the_writer_refuses_invalid_arguments(file, arguments, named):
    with pytest.raises(ValueError, match=named):
        write_ply(file, **arguments)
    assert not file.exists()


def test_a_missing_attribute_is_named_with_the_existing_ones(file):
    with pytest.raises(DataError, match=r"scan\.ply: has no attribute 'nir', only \['rgb', 'red'"):
        read_ply(ply(file, "ascii"), ["nir"])


def test_the_labels_are_no_attribute(file):
    with pytest.raises(DataError, match="no attribute 'label'"):
        read_ply(ply(file, "ascii"), ["label"])


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("faces_first", [False, True])
def test_a_file_with_too_few_vertices(file, form, faces_first):
    ply(file, form, faces_first=faces_first, promised=30)
    with pytest.raises(DataError, match=r"30 vertices|lines before the vertices"):
        read_ply(file)


def test_a_file_truncated_in_the_faces_before_the_vertices(file):
    ply(file, "binary_big_endian", faces_first=True)
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"end_header") + 20])
    with pytest.raises(DataError, match="elements 'face'"):
        read_ply(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"ply\n", b"PK\x03\x04", "not a PLY"),
        (b"property float x", b"property half x", "header line 'property half x'"),
        (b"element vertex 3", b"element vertex three", "header line 'element vertex three'"),
        (b"format ascii", b"format utf8", "header line 'format utf8"),
        (b"end_header", b"comment", "cannot parse header line|no end_header"),
        (b"property float z", b"property float height", r"no \['z'\]"),
        (b"property float z", b"property float y", "share a name"),
        (b"property float z", b"property list uchar int z", "lists"),
        (b"element vertex", b"element corner", "no vertices"),
        (b"0.5 1.0 2.0 ", b"0.5 1.0 ", "no row of numbers"),
        (b"0.5 1.0 2.0 ", b"0.5 one 2.0 ", "no row of numbers"),
        (b" 0 51 255", b" 0 51 256", "'blue' do not fit their type uint8"),
        (b"0.5 1.0 2.0 ", b"nan inf 2.0 ", "NaN or infinite at 1 of 3 points"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(file, old, new, said):
    content = ply(file, "ascii").read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
    with pytest.raises(DataError, match=said) as error:
        read_ply(file)
    assert str(error.value).startswith(str(file))


def test_a_missing_file_is_named(file):
    with pytest.raises(DataError, match=r"scan\.ply: No such file"):
        read_ply(file)


def test_no_vertices(file):
    with pytest.raises(DataError, match="no points"):
        read_ply(ply(file, "ascii", rows=[]))


def test_float32_coordinates_of_ten_million(file):
    ply(file, "binary_little_endian", rows=[[1e7, 0, 0, 0, 0, 0, 1]])
    with pytest.raises(DataError, match=r"1e\+07 in float32 resolve only 1 m; subtract an origin"):
        read_ply(file)


def test_labels_that_are_no_whole_numbers(file):
    vertex = [*VERTEX[:3], ("float", "scalar_Label")]
    ply(file, "binary_little_endian", vertex=vertex, rows=[[0, 0, 0, 1], [0, 0, 1, 1.5]])
    with pytest.raises(DataError, match=r"whole numbers, got \[1.5\]"):
        read_ply(file)


def written(file, header, body=b"", form="binary_little_endian"):
    file.write_bytes(f"ply\nformat {form} 1.0\n{header}end_header\n".encode() + body)
    return file


XYZ_HEADER = "property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize(
    ("header", "body", "said"),
    [
        (f"element vertex 999999999999\n{XYZ_HEADER}", bytes(24), "room for 2"),
        (f"element vertex 1\n{XYZ_HEADER}", bytes(24), "goes on after them"),
        (f"element vertex -1\n{XYZ_HEADER}", bytes(24), "header line 'element vertex -1'"),
        ("element vertex 5\n", bytes(24), r"no \['x', 'y', 'z'\]"),
        (
            f"element face 1000000000000\nproperty list int int vi\nelement vertex 1\n{XYZ_HEADER}",
            struct.pack("<i", -1) + bytes(12),
            "elements 'face'",
        ),
        (
            f"element face 1\nproperty list int int vi\nelement vertex 1\n{XYZ_HEADER}",
            struct.pack("<i", -1) + bytes(12),
            "-1 items of a list",
        ),
        (
            f"element face 1\nproperty list uint int vi\nelement vertex 1\n{XYZ_HEADER}",
            struct.pack("<I", 1 << 31) + bytes(12),
            "2147483648 items of a list",
        ),
        (
            f"element face 1\nproperty list float int vi\nelement vertex 1\n{XYZ_HEADER}",
            bytes(16),
            "header line 'property list float int vi'",
        ),
        (f"element vertex 1\n{XYZ_HEADER}element vertex 1\n", bytes(12), "two elements of them"),
    ],
)
def test_counts_that_the_file_cannot_hold(file, header, body, said):
    with pytest.raises(DataError, match=said) as error:
        read_ply(written(file, header, body))
    assert str(error.value).startswith(f"{file}: ")


@pytest.mark.parametrize("count", [1, 4])
def test_ascii_with_another_number_of_vertices(file, count):
    body = b"0 0 0\n\n1 1 1\n2 2 2\n"
    with pytest.raises(DataError, match=f"states {count} vertices, the file"):
        read_ply(written(file, f"element vertex {count}\n{XYZ_HEADER}", body, "ascii"))


def test_a_line_without_end(file):
    with pytest.raises(DataError, match="a line has more than"):
        read_ply(written(file, f"element vertex 1\n{XYZ_HEADER}", b"0 " * 99_999, "ascii"))


def test_a_byte_order_mark_before_the_header(file):
    written(file, f"element vertex 1\n{XYZ_HEADER}", b"1 2 3\n", "ascii")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_ply(file).xyz_N3.tolist() == [[1, 2, 3]]


def test_colours_packed_into_one_number(file):
    header = f"element vertex 1\n{XYZ_HEADER}property float rgb\n"
    with pytest.raises(DataError, match="colours are packed into one number, 'rgb'"):
        read_ply(written(file, header, bytes(16)), ["rgb"])


def test_the_property_of_the_labels_is_chosen(file):
    header = f"element vertex 1\n{XYZ_HEADER}property int label\nproperty int scalar_Class\n"
    written(file, header, bytes(12) + struct.pack("<ii", 5, 2))
    with pytest.raises(DataError, match="'label' or 'class'"):
        read_ply(file)
    assert read_ply(file, label_name="scalar_Class").codes_N.tolist() == [2]
    assert read_ply(file, ["label"], None).attributes["label"].tolist() == [[5]]


def test_a_binary_file_is_read_in_parts(file):
    ply(file, "binary_big_endian", faces_first=True)
    parts = list(ply_parts(file, ["rgb"], points=2))
    assert [len(part) for part in parts] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([part.xyz_N3 for part in parts]), XYZ)
