"""LAS and LAZ: read in chunks, written with only the classification changed, and broken files."""

import importlib
import sys

import numpy as np
import pytest

from places import SHARED_DATA

laspy = pytest.importorskip("laspy")
lazrs = pytest.importorskip("lazrs")

from equiseg.data.errors import DataError  # noqa: E402
from equiseg.data.points.formats.las import las_chunks, las_size, write_classification  # noqa: E402

REAL = SHARED_DATA / "ign_lidarhd"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no real data next to the checkout")
N = 100
RNG = np.random.default_rng(0)
XYZ = np.round(RNG.uniform(0, 50, (N, 3)), 2) + np.array([652_000, 6_861_000, 30])
CODES = np.arange(N) % 7


def las(file, *, points=N, point_format=8, rgb=None):
    """A small file with an extra dimension, a record and an extended record."""
    version = "1.4" if point_format >= 6 else "1.2"
    header = laspy.LasHeader(point_format=point_format, version=version)
    header.offsets, header.scales = [652_000, 6_861_000, 0], [0.01, 0.01, 0.01]
    header.generating_software, header.file_source_id = "a test", 77
    header.vlrs.append(laspy.VLR("house", 7, "its own", b"12345"))
    header.add_extra_dim(laspy.ExtraBytesParams("confidence", "f4"))
    data = laspy.LasData(header)
    data.x, data.y, data.z = XYZ[:points].T
    data.classification = CODES[:points]
    data.intensity = np.arange(points) * 600
    data.return_number, data.number_of_returns = np.full(points, 2), np.full(points, 3)
    data.withheld = np.arange(points) % 2
    data.confidence = np.linspace(0, 1, points)
    if rgb is not None:
        data.red, data.green, data.blue = rgb[:points].T
    if version == "1.4":
        data.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("house", 8, "after", b"extended")])
    data.write(file)
    return file


@pytest.fixture(params=["tile.las", "tile.laz"])
def file(tmp_path, request):
    return tmp_path / request.param


def whole(file, wanted=(), points=1_000_000):
    chunks = list(las_chunks(file, wanted, points=points))
    attributes = {n: np.concatenate([c.attributes[n] for c in chunks]) for n in wanted}
    xyz_N3, codes_N = (
        np.concatenate([getattr(c, name) for c in chunks]) for name in ("xyz_N3", "codes_N")
    )
    return xyz_N3, attributes, codes_N


def test_chunks_are_the_file_in_its_order(file):
    rgb = np.arange(3 * N).reshape(N, 3) * 200
    las(file, rgb=rgb)
    assert las_size(file) == N
    sizes = [len(chunk) for chunk in las_chunks(file, points=30)]
    assert sizes == [30, 30, 30, 10]
    xyz_N3, attributes, codes_N = whole(file, ["returns", "rgb", "intensity", "confidence"], 30)
    np.testing.assert_allclose(xyz_N3, XYZ, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(codes_N, CODES)
    np.testing.assert_allclose(attributes["returns"], np.tile([2 / 7, 3 / 7], (N, 1)), rtol=1e-6)
    np.testing.assert_allclose(attributes["rgb"], rgb / 65535, rtol=1e-6)
    np.testing.assert_allclose(attributes["intensity"][:, 0], np.arange(N) * 600 / 65535, rtol=1e-6)
    np.testing.assert_allclose(attributes["confidence"][:, 0], np.linspace(0, 1, N), rtol=1e-6)
    types = {values.dtype for values in attributes.values()}
    assert (xyz_N3.dtype, codes_N.dtype, types) == (np.float64, np.int64, {np.dtype(np.float32)})


def test_colours_of_8_bit_in_16_bit_fields(file):
    rgb = np.zeros((N, 3), int)
    rgb[40:] = 255  # the first chunk is black and decides nothing
    las(file, rgb=rgb)
    np.testing.assert_array_equal(whole(file, ["rgb"], 30)[1]["rgb"], rgb / 255)


def test_colours_that_exceed_8_bit_later_are_refused(file):
    rgb = np.full((N, 3), 200)
    rgb[-1] = 256
    las(file, rgb=rgb)
    with pytest.raises(DataError, match="'rgb' start within 8 bit and later reach 256"):
        whole(file, ["rgb"], 30)


def test_a_missing_dimension_is_named(file):
    las(file, point_format=6)
    with pytest.raises(
        DataError, match=r"no attribute 'rgb', 'nir', only \['returns', 'intensity'"
    ):
        whole(file, ["rgb", "intensity", "nir"])


def test_the_classification_is_no_attribute(file):
    with pytest.raises(DataError, match="no attribute 'classification'"):
        whole(las(file), ["classification"])


@pytest.mark.parametrize("point_format", [3, 8])
def test_a_copy_differs_in_its_classification_only(file, point_format):
    las(file, point_format=point_format, rgb=np.full((N, 3), 9))
    original = file.read_bytes()
    copy = file.with_name("copy" + file.suffix)
    write_classification(file, copy, (CODES + 3) % 32)
    np.testing.assert_array_equal(whole(copy)[2], (CODES + 3) % 32)
    assert file.read_bytes() == original != copy.read_bytes()
    write_classification(copy, copy, CODES)  # onto itself
    assert copy.read_bytes() == original
    assert sorted(path.name for path in file.parent.iterdir()) == ["copy" + file.suffix, file.name]


def test_extended_records_stay_where_the_header_says(tmp_path):
    """The compressed points have another size if all codes are the same."""
    file, copy = las(tmp_path / "tile.laz"), tmp_path / "copy.laz"
    write_classification(file, copy, np.zeros(N, int))
    assert copy.stat().st_size < file.stat().st_size
    (record,) = laspy.read(copy).evlrs
    assert (record.user_id, record.record_id, record.record_data) == ("house", 8, b"extended")


@needs_real
def test_a_real_tile_is_rewritten_with_nothing_else_changed(tmp_path):
    source, copy = REAL / "dense" / "77050_627755.laz", tmp_path / "copy.laz"
    before = laspy.read(source)
    codes_N = RNG.integers(0, 256, len(before))
    write_classification(source, copy, codes_N)
    after = laspy.read(copy)
    np.testing.assert_array_equal(after.classification, codes_N)
    names = list(before.point_format.dimension_names)
    assert list(after.point_format.dimension_names) == names
    for name in set(names) - {"classification"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    head = before.header.offset_to_point_data  # header and records, dates and extents included
    assert copy.read_bytes()[:head] == source.read_bytes()[:head]
    np.testing.assert_array_equal(after.header.scales, before.header.scales)
    np.testing.assert_array_equal(after.header.offsets, before.header.offsets)
    assert [v.record_data_bytes() for v in after.vlrs] == [
        v.record_data_bytes() for v in before.vlrs
    ]
    write_classification(copy, copy, np.asarray(before.classification))
    assert copy.read_bytes() == source.read_bytes()


@needs_real
def test_real_tiles():
    files = sorted(REAL.glob("*/*.laz"))
    assert len(files) == 9
    for file in files:
        xyz_N3, attributes, codes_N = whole(file, ["intensity", "returns"], 100_000)
        with laspy.open(file) as reader:
            header = reader.header
        assert len(xyz_N3) == len(codes_N) == las_size(file) == header.point_count
        np.testing.assert_allclose(xyz_N3.min(axis=0), header.mins, rtol=0, atol=0.02)
        np.testing.assert_allclose(xyz_N3.max(axis=0), header.maxs, rtol=0, atol=0.02)
        assert set(np.unique(codes_N)) <= {*range(1, 7), 9, 17, *range(64, 68)}
        assert 0 <= attributes["intensity"].min() < attributes["intensity"].max() <= 1


def copc(file):
    """The layout of a COPC file: index record first, chunks of any size, index last."""
    plain = las(file.with_name("plain.laz"))
    data = laspy.read(plain)
    info = laspy.VLR("copc", 1, "copc info", bytes(160))
    data.header.vlrs = laspy.vlrs.vlrlist.VLRList([info, *data.header.vlrs])
    data.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("copc", 1000, "hierarchy", bytes(32))])
    data.write(plain)
    with plain.open("rb") as stream:
        header = laspy.LasHeader.read_from(stream)
    content = plain.read_bytes()
    fixed = header.vlrs.get("LasZipVlr")[0].record_data
    extra = header.point_format.num_extra_bytes
    variable = lazrs.LazVlr.new_for_compression(8, extra, use_variable_size_chunks=True)
    head = bytearray(content[: header.offset_to_point_data].replace(fixed, variable.record_data()))
    with file.open("wb") as stream:
        stream.write(head)
        compressor = lazrs.LasZipCompressor(stream, variable)
        for start in (0, 17, 60):
            rows = data.points.array[start : {0: 17, 17: 60, 60: N}[start]]
            compressor.compress_many(rows.tobytes())
            compressor.finish_current_chunk()
        compressor.done()
        end = stream.seek(0, 2)
        stream.write(content[header.start_of_first_evlr :])
        stream.seek(235)
        stream.write(end.to_bytes(8, "little"))
    return file


def test_a_copy_of_a_copc_file_is_a_plain_laz(tmp_path):
    file, copy = copc(tmp_path / "tile.copc.laz"), tmp_path / "copy.copc.laz"
    assert file.read_bytes()[377:381] == b"copc"
    write_classification(file, copy, CODES + 1)
    before, after = laspy.read(file), laspy.read(copy)
    np.testing.assert_array_equal(before.classification, CODES)
    np.testing.assert_array_equal(after.classification, CODES + 1)
    for name in set(before.point_format.dimension_names) - {"classification"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    ids = [record.user_id for record in (*after.vlrs, *after.evlrs)]
    assert ids == ["not copc", "house", "LASF_Spec", "not copc"]


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (CODES[1:], r"100 whole numbers.*\(99,\)"),
        (CODES + 0.0, "100 whole numbers.*float64"),
        (CODES - 1, r"0\.\.255, got \[-1\]"),
        (CODES + 250, r"0\.\.255, got \[256\]"),
    ],
)
def test_invalid_codes_are_refused(file, codes, said):
    las(file)
    with pytest.raises(ValueError, match=said):
        write_classification(file, file.with_name("copy" + file.suffix), codes)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_codes_above_31_in_an_old_point_format(file):
    las(file, point_format=3)
    with pytest.raises(DataError, match=r"point format 3 has no room for code 64.*laspy\.convert"):
        write_classification(file, file, np.full(N, 64))


def test_a_copy_is_compressed_as_its_source(file):
    las(file)
    with pytest.raises(ValueError, match="target must end in"):
        write_classification(file, file.with_suffix(".ply"), CODES)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.4, 0.7, 0.97])
def test_a_truncated_file_is_named(file, share):
    las(file, point_format=7)
    content = file.read_bytes()
    end = content.index(b"extended")  # in the last record; its end is not needed for the points
    file.write_bytes(content[: int(end * share)])
    with pytest.raises(DataError, match=rf"{file.name}: "):
        whole(file)


def test_a_file_truncated_between_two_points_is_named(tmp_path):
    file = las(tmp_path / "tile.las", point_format=7)
    with laspy.open(file) as reader:
        header = reader.header
    end = header.offset_to_point_data + 60 * header.point_format.size
    file.write_bytes(file.read_bytes()[:end])
    with pytest.raises(DataError, match="states 100 points, but the file has room for 60"):
        whole(file)


def test_a_truncated_file_leaves_no_copy(tmp_path):
    file = las(tmp_path / "tile.laz")
    file.write_bytes(file.read_bytes()[:-1200])
    with pytest.raises(DataError, match=r"tile\.laz: "):
        write_classification(file, tmp_path / "copy.laz", CODES)
    assert [path.name for path in tmp_path.iterdir()] == ["tile.laz"]


def test_another_kind_of_file(file):
    file.write_bytes(b"x y z\n" * 100)
    for read in (whole, las_size):
        with pytest.raises(DataError, match=rf"{file.name}: .*does not begin with LASF"):
            read(file)


def test_an_empty_scan(file):
    with pytest.raises(DataError, match="no points"):
        whole(las(file, points=0))


def test_a_header_whose_offset_is_nan(file):
    las(file)
    content = bytearray(file.read_bytes())
    content[155:163] = np.float64(np.nan).tobytes()  # the offset of x
    file.write_bytes(content)
    with pytest.raises(DataError, match="the offset of x is nan"):
        whole(file)


@pytest.mark.parametrize("package", ["laspy", "lazrs"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "equiseg.data.points.formats.las")
    with pytest.raises(ImportError, match=r"equiseg\[points\]"):
        importlib.import_module("equiseg.data.points.formats.las")
