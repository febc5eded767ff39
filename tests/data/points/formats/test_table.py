"""The table of scan formats, and users' own functions as formats."""

import numpy as np
import pytest

from equiseg.data.errors import DataError
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.table import (
    FORMATS,
    find_format,
    format_of_file,
    scan_suffixes,
)

XYZ = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.name)
def test_every_format_has_suffixes_or_an_official_layout(row):
    assert row.suffixes or row.official  # by a pattern or by a layout
    assert row.label_names
    assert not (row.official and row.pattern)
    assert find_format(row.name) is row


def test_no_two_formats_share_a_suffix():
    assert len(set(scan_suffixes())) == len(scan_suffixes())


def test_the_format_of_a_file(tmp_path):
    assert format_of_file(tmp_path / "A.LAZ").name == "las"
    assert format_of_file(tmp_path / "a.txt") is None
    assert format_of_file(tmp_path) is None
    np.save(tmp_path / "coord.npy", XYZ)
    assert format_of_file(tmp_path).name == "arrays"


def test_an_unknown_form_names_the_known_ones():
    with pytest.raises(ValueError, match=r"form must be one of las, ply, .* got 'e57'"):
        find_format("e57")
    with pytest.raises(ValueError, match="form must be one of"):
        find_format(5)  # as YAML may hold it


def own(tmp_path, body):
    file = tmp_path / f"reader_{abs(hash(body))}.py"
    file.write_text(
        "import numpy as np\nfrom equiseg.data import PointCloud\n"
        f"XYZ = np.arange(12.0).reshape(4, 3)\ndef read(path):\n    {body}\n"
    )
    return find_format(f"{file}:read")


def test_a_function_reads_the_wanted_attributes(tmp_path):
    row = own(tmp_path, "return PointCloud(XYZ, {'grey': XYZ[:, 0], 'b': XYZ}, np.arange(4))")
    (tmp_path / "a.xyz").touch()
    (cloud,) = row.read(tmp_path / "a.xyz", ["grey"], tmp_path, "")
    assert isinstance(cloud, PointCloud)
    assert list(cloud.attributes) == ["grey"]
    assert cloud.attributes["grey"].shape == (4, 1)
    assert cloud.codes_N.tolist() == [0, 1, 2, 3]
    assert format_of_file(tmp_path / "a.any", row.name).name == row.name
    (source,) = row.companions(tmp_path / "a.xyz", tmp_path)
    assert source.name.startswith("reader_")  # scans are read again when the code changes


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return XYZ", r"must return an equiseg\.data\.PointCloud, got ndarray"),
        ("return PointCloud(XYZ, {})", "has no attribute 'grey'"),
        ("return PointCloud(XYZ / 0, {'grey': XYZ[:, 0]})", "coordinates are NaN or infinite"),
        ("return PointCloud('xyz', {'grey': XYZ[:, 0]})", "gives no points: could not convert"),
        ("raise OSError('cut short')", "failed: OSError: cut short"),
    ],
)
def test_invalid_results_are_refused(tmp_path, body, message):
    (tmp_path / "a.xyz").touch()
    with np.errstate(all="ignore"), pytest.raises(DataError, match=rf"(?s)a\.xyz.*{message}"):
        list(own(tmp_path, body).read(tmp_path / "a.xyz", ["grey"], tmp_path, ""))
