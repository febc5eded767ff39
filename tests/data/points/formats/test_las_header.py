"""Counts and lengths in LAS and LAZ files that the files cannot hold."""

import struct

import numpy as np
import pytest

laspy = pytest.importorskip("laspy")
pytest.importorskip("lazrs")

from equiseg.data.errors import DataError  # noqa: E402
from equiseg.data.points.formats.las import las_chunks  # noqa: E402
from equiseg.data.points.formats.las_header import check_las  # noqa: E402

N = 500
VLRS, POINTS, EVLRS, EVLR_PLACE = 100, 247, 243, 235  # places in a header of LAS 1.4


def tile(file, point_format=7, extra=(), fill=lambda data: None):
    header = laspy.LasHeader(point_format=point_format, version="1.4")
    header.scales = [0.01] * 3
    for name in extra:
        header.add_extra_dim(laspy.ExtraBytesParams(name, "u1"))
    data = laspy.LasData(header)
    data.x, data.y, data.z = np.random.default_rng(0).uniform(0, 50, (3, N))
    data.classification = np.arange(N) % 3
    data.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("house", 8, "after", b"extended")])
    fill(data)
    data.write(file)
    return file


def changed(file, place, form, value):
    content = bytearray(file.read_bytes())
    struct.pack_into("<" + form, content, place, value)
    file.write_bytes(content)
    return file


def places(file):
    """Where a LAZ file has its points, the table of chunks and the record of LASzip."""
    content = file.read_bytes()
    (start,) = struct.unpack_from("<I", content, 96)
    (table,) = struct.unpack_from("<q", content, start)
    return start, table, content.index(b"laszip encoded") + 52


@pytest.mark.parametrize("name", ["tile.las", "tile.laz"])
@pytest.mark.parametrize(
    ("place", "form", "value", "said"),
    [
        (0, "4s", b"LAZF", "does not begin with LASF"),
        (25, "B", 9, "version 1.9"),
        (94, "H", 100, "header of 100 bytes"),
        (96, "I", 1 << 31, "ends at most at the points"),
        (104, "B", 77, "format 13"),
        (105, "H", 12, "in 12 bytes each"),
        (VLRS, "I", 1 << 29, r"536870912 records \(VLRs\)"),
        (EVLRS, "I", 1 << 29, r"records \(EVLRs\)"),
        (EVLR_PLACE, "Q", 1 << 60, r"records \(EVLRs\)"),
        (POINTS, "Q", 1 << 50, "1125899906842624 points"),
        (131, "d", 0.0, "scale of x is 0"),
        (139, "d", np.inf, "scale of y is inf"),
        (147, "d", np.nan, "scale of z is nan"),
        (131, "d", -0.01, "scale of x is -0.01"),
        (131, "d", 1e300, r"scale of x is 1e\+300"),
        (155, "d", np.inf, "offset of x is inf"),
        (163, "d", 1e30, r"offset of y is 1e\+30"),
    ],
)
def test_a_header_that_cannot_be_true(tmp_path, name, place, form, value, said):
    file = changed(tile(tmp_path / name), place, form, value)
    with pytest.raises(DataError, match=said) as error:
        list(las_chunks(file))
    assert str(error.value).startswith(f"{file}: ")


def test_a_record_that_is_longer_than_the_file(tmp_path):
    file = tile(tmp_path / "tile.las")
    (begin,) = struct.unpack_from("<Q", file.read_bytes(), EVLR_PLACE)
    changed(file, begin + 20, "Q", 1 << 50)
    with pytest.raises(DataError, match=r"bytes in a record \(EVLR\)"):
        check_las(file)


@pytest.mark.parametrize("chunks", [0, 2, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_table_of_chunks_that_cannot_be_true(tmp_path, chunks):
    file = tile(tmp_path / "tile.laz")
    changed(file, places(file)[1] + 4, "I", chunks)
    with pytest.raises(DataError, match="chunks"):
        list(las_chunks(file))


@pytest.mark.parametrize("where", [-1, 7, 1 << 40])
def test_a_table_of_chunks_that_is_not_there(tmp_path, where):
    file = tile(tmp_path / "tile.laz")
    changed(file, places(file)[0], "q", where)
    with pytest.raises(DataError, match="table of its chunks"):
        list(las_chunks(file))


def test_layers_that_are_longer_than_their_chunk(tmp_path):
    file = tile(tmp_path / "tile.laz")
    changed(file, places(file)[0] + 8 + 36 + 4, "I", 0xFFFFFFF0)
    with pytest.raises(DataError, match="chunk 0 states layers of"):
        list(las_chunks(file))


@pytest.mark.parametrize(
    ("place", "form", "value", "said"),
    [
        (0, "H", 9, "unknown compressor 9"),
        (0, "H", 2, "compressor 2 does not fit"),
        (12, "I", 0, "chunks of 0 points"),
        (12, "I", 0xFFFFFFFE, "GiB of memory"),
        (12, "I", 10, "its 1 chunks hold 10"),
        (32, "H", 9999, "parts of a point"),
        (34, "H", 99, "parts, the header says"),
        (36, "H", 31, "parts, the header says"),
    ],
)
def test_a_record_of_the_compression_that_cannot_be_true(tmp_path, place, form, value, said):
    file = tile(tmp_path / "tile.laz")
    changed(file, places(file)[2] + place, form, value)
    with pytest.raises(DataError, match=said):
        list(las_chunks(file))


def test_fewer_points_than_a_laz_file_holds(tmp_path):
    file = changed(tile(tmp_path / "tile.laz"), POINTS, "Q", N - 1)
    with pytest.raises(DataError, match=f"states {N - 1} points, its chunks {N}"):
        list(las_chunks(file))


@pytest.mark.parametrize("point_format", [0, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_whole_files_pass(tmp_path, point_format, suffix):
    head = check_las(tile(tmp_path / f"tile{suffix}", point_format))
    assert (head.points, head.compressed) == (N, suffix == ".laz")


def test_an_extra_dimension_beside_the_classification_must_be_chosen(tmp_path):
    def fill(data):
        data["label"] = np.full(N, 7)

    file = tile(tmp_path / "tile.laz", extra=["label", "height"], fill=fill)
    with pytest.raises(DataError, match=r"may be 'classification' or 'label'.*label_name"):
        list(las_chunks(file))
    for name, codes in (("label", {7}), ("Classification", {0, 1, 2})):
        (cloud,) = las_chunks(file, label_name=name)
        assert set(cloud.codes_N) == codes
    (cloud,) = las_chunks(file, label_name=None)
    assert cloud.codes_N is None
    with pytest.raises(DataError, match="has no attribute 'klass' for labels"):
        list(las_chunks(file, label_name="klass"))


def test_withheld_points_are_marked(tmp_path):
    def fill(data):
        data.withheld = np.arange(N) % 2

    (cloud,) = las_chunks(tile(tmp_path / "tile.las", fill=fill))
    assert cloud.withheld_N.tolist() == [False, True] * (N // 2)


def test_a_pipe_is_no_scan(tmp_path):
    import os

    os.mkfifo(tmp_path / "tile.laz")
    with pytest.raises(DataError, match="named pipe"):
        list(las_chunks(tmp_path / "tile.laz"))
