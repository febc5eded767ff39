"""ScanNet200 in both layouts, errors in them, and submissions to its benchmark."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from equiseg.data import DataError, load_card
from equiseg.data.points.formats.scannet import benchmark_ids, find_scenes, read_scene
from equiseg.data.points.formats.scannet_submission import check_submission, write_submission
from places import SHARED_DATA
from scannet_tree import SPLITS, made_up_scene, write_official, write_preprocessed

FREQUENCIES = SHARED_DATA / "frequencies/scannet200.csv"
NAME = SPLITS["val"][0]
MESH = f"scans/{NAME}/{NAME}_vh_clean_2.ply"
SEGMENTS = f"scans/{NAME}/{NAME}_vh_clean_2.0.010000.segs.json"
GROUPS = f"scans/{NAME}/{NAME}.aggregation.json"
LABEL_MAP = "scannetv2-labels.combined.tsv"


@pytest.fixture
def official(tmp_path):
    write_official(tmp_path)
    return tmp_path


@pytest.fixture
def preprocessed(tmp_path):
    write_preprocessed(tmp_path)
    return tmp_path


def val_scene(root, wanted=()):
    (path,) = find_scenes(root, "val")
    return read_scene(path, wanted, root=root)


def test_the_official_layout_gives_vertices_colours_and_label_ids(official):
    scene = made_up_scene(NAME)
    cloud = val_scene(official, ["rgb"])
    assert cloud.xyz_N3.dtype == np.float64
    np.testing.assert_array_equal(cloud.xyz_N3, scene.xyz_N3)
    np.testing.assert_allclose(cloud.attributes["rgb"], scene.rgb_N3 / 255, atol=1e-6)
    np.testing.assert_array_equal(cloud.codes_N, scene.ids_N)
    assert {0, 1, 2, 3, 4, 130, 1357} == set(cloud.codes_N.tolist())


def test_the_preprocessed_layout_gives_the_same_except_for_other_categories(
    preprocessed,
):
    scene = made_up_scene(NAME)
    cloud = val_scene(preprocessed, ["rgb", "normal"])
    np.testing.assert_array_equal(cloud.xyz_N3, scene.xyz_N3)
    np.testing.assert_allclose(cloud.attributes["rgb"], scene.rgb_N3 / 255, atol=1e-6)
    np.testing.assert_array_equal(cloud.attributes["normal"][0], [0, 0, 1])
    expected = np.where(scene.ids_N == 1357, 0, scene.ids_N)
    np.testing.assert_array_equal(cloud.codes_N, expected)


def test_class_indices_may_be_a_column(preprocessed):
    file = preprocessed / f"val/{NAME}/segment200.npy"
    before = val_scene(preprocessed).codes_N
    np.save(file, np.load(file)[:, None])
    np.testing.assert_array_equal(val_scene(preprocessed).codes_N, before)


@pytest.mark.parametrize("write", [write_official, write_preprocessed])
def test_test_scenes_have_points_and_no_codes(tmp_path, write):
    write(tmp_path)
    (path,) = find_scenes(tmp_path, "test")
    cloud = read_scene(path, root=tmp_path)
    assert len(cloud) == len(made_up_scene(path.name).xyz_N3)
    assert cloud.codes_N is None


def test_scenes_come_in_the_order_of_the_official_list(official):
    assert [path.name for path in find_scenes(official, "train")] == list(SPLITS["train"])


def test_preprocessed_scenes_come_in_the_order_of_their_names(preprocessed):
    names = [path.name for path in find_scenes(preprocessed, "train")]
    assert names == sorted(SPLITS["train"])


def test_lists_and_label_map_may_be_in_the_folder_splits(official):
    (official / "splits").mkdir()
    for file in [*official.glob("*.txt"), official / LABEL_MAP]:
        file.rename(official / "splits" / file.name)
    np.testing.assert_array_equal(val_scene(official).codes_N, made_up_scene(NAME).ids_N)


def test_the_last_of_overlapping_groups_counts(official):
    groups = json.loads((official / GROUPS).read_text())
    floor = next(group for group in groups["segGroups"] if group["label"] == "floor")
    groups["segGroups"].append({**floor, "label": "cup"})
    (official / GROUPS).write_text(json.dumps(groups))
    ids_N = made_up_scene(NAME).ids_N
    expected = np.where(ids_N == 3, 130, ids_N)
    np.testing.assert_array_equal(val_scene(official).codes_N, expected)


def test_the_nyu40_mesh_is_not_needed(official):
    (official / f"scans/{NAME}/{NAME}_vh_clean_2.labels.ply").unlink()
    np.testing.assert_array_equal(val_scene(official).codes_N, made_up_scene(NAME).ids_N)


@pytest.mark.parametrize("file", [MESH, SEGMENTS, GROUPS, LABEL_MAP, "scannetv2_val.txt"])
def test_a_missing_file_of_the_official_layout_is_named(official, file):
    (official / file).unlink()
    with pytest.raises(DataError, match=Path(file).name):
        find_scenes(official, "val")


@pytest.mark.parametrize("file", ["coord.npy", "segment200.npy"])
def test_a_missing_array_is_named(preprocessed, file):
    (preprocessed / "val" / NAME / file).unlink()
    with pytest.raises(DataError, match=f"{NAME}/{file}: no such file"):
        find_scenes(preprocessed, "val")


def test_half_of_the_label_files_is_an_error_when_read(official):
    (path,) = find_scenes(official, "val")
    (official / GROUPS).unlink()
    with pytest.raises(DataError, match=r"aggregation\.json: no such file"):
        read_scene(path, root=official)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (SEGMENTS, '{"segIndices": [1, 2', r"segs\.json: is no JSON with the list segIndices"),
        (SEGMENTS, "{}", r"segs\.json: is no JSON with the list segIndices"),
        (SEGMENTS, '{"segIndices": 3}', r"segs\.json: segIndices must be a list, got int"),
        (SEGMENTS, '{"segIndices": [1, 2]}', r"segs\.json: \d+ points, but labels of shape \(2,\)"),
        (GROUPS, '{"segGroups": [{"label": "cup"}]}', r"aggregation\.json: every one of its"),
        (GROUPS, '{"segGroups": [7]}', r"aggregation\.json: every one of its"),
        (LABEL_MAP, "id,raw_category\n1,wall\n", r"tsv: must be separated by tabs"),
        (LABEL_MAP, "id\traw_category\nx\twall\n", r"tsv: must be separated by tabs"),
        (LABEL_MAP, "id\traw_category\n1\twall\n", r"tsv: lacks 199 ids .* \[2, 3, 4, 5, 6\]"),
        ("scannetv2_val.txt", "\n", r"split val has no scenes"),
        ("scannetv2_val.txt", "scene0009_00\n", r"scene0009_00_vh_clean_2\.ply: no such file"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(official, file, text, message):
    (official / file).write_text(text)
    with pytest.raises(DataError, match=message):
        val_scene(official)


@pytest.mark.parametrize("odd", [200, -2, 0.5])
def test_class_indices_outside_the_benchmark_are_refused(preprocessed, odd):
    file = preprocessed / f"val/{NAME}/segment200.npy"
    indices_N = np.load(file).astype(type(odd))
    indices_N[4] = odd
    np.save(file, indices_N)
    with pytest.raises(DataError, match=rf"segment200\.npy: must hold .* got \[{odd}\]"):
        val_scene(preprocessed)


def test_arrays_of_different_lengths_are_refused(preprocessed):
    file = preprocessed / f"val/{NAME}/segment200.npy"
    np.save(file, np.load(file)[1:])
    with pytest.raises(DataError, match=r"segment200\.npy: \d+ points, but labels of shape"):
        val_scene(preprocessed)


def test_a_truncated_array_is_named(preprocessed):
    file = preprocessed / f"val/{NAME}/segment200.npy"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"segment200\.npy: array .* cut or damaged"):
        val_scene(preprocessed)


def test_an_attribute_that_the_mesh_lacks_is_an_error(official):
    with pytest.raises(DataError, match="no attribute 'normal'"):
        val_scene(official, ["normal"])


def test_the_card_has_the_classes_and_groups_of_the_benchmark():
    if not FREQUENCIES.is_file():
        pytest.skip(f"{FREQUENCIES} is not there")
    with FREQUENCIES.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    card = load_card("scannet200", Path())
    assert benchmark_ids() == tuple(int(row["scannet_id"]) for row in rows)
    assert card.class_names() == tuple(row["name"] for row in rows)
    for group, names in card.groups.items():
        assert names == [row["name"] for row in rows if row["group"] == group]
    assert [len(names) for names in card.groups.values()] == [66, 68, 66]


@pytest.fixture
def submission(official):
    """A folder of predictions without problems."""
    folder = official / "submission"
    for name in SPLITS["test"]:
        points = len(made_up_scene(name).xyz_N3)
        write_submission(folder / f"{name}.txt", np.resize(benchmark_ids(), points))
    return folder


@pytest.mark.parametrize("write", [write_official, write_preprocessed])
def test_a_good_submission_has_no_problems_in_either_layout(submission, tmp_path, write):
    write(tmp_path / "data")
    assert check_submission(submission, tmp_path / "data") == []


def test_a_submission_has_one_id_a_line_in_the_order_given(tmp_path):
    write_submission(tmp_path / "new/scene0707_00.txt", np.array([1191, 1, 2], dtype=np.int16))
    assert (tmp_path / "new/scene0707_00.txt").read_bytes() == b"1191\n1\n2\n"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 0], r"among the 200 ids .* got \[0\]"),
        ([1, 12], r"among the 200 ids .* got \[12\]"),
        ([1.0, 2.0], r"whole numbers of shape \(N,\), got float64 \(2,\)"),
        ([[1, 2]], r"whole numbers of shape \(N,\), got int64 \(1, 2\)"),
    ],
)
def test_invalid_submissions_are_not_written(tmp_path, ids, message):
    with pytest.raises(ValueError, match=message):
        write_submission(tmp_path / "scene0707_00.txt", np.array(ids))
    assert not (tmp_path / "scene0707_00.txt").exists()


def test_missing_and_extra_files_are_reported(submission, official):
    (submission / "scene0707_00.txt").rename(submission / "scene0707.txt")
    assert check_submission(submission, official) == [
        f"{submission / 'scene0707_00.txt'}: missing",
        f"{submission / 'scene0707.txt'}: is not the name of a scene of split test",
    ]


def test_a_wrong_number_of_lines_is_reported(submission, official):
    file = submission / "scene0707_00.txt"
    points = len(file.read_text().splitlines())
    file.write_text(file.read_text() + "1\n")
    (problem,) = check_submission(submission, official)
    assert problem == f"{file}: has {points + 1} lines, the scene has {points} vertices"


def test_lines_that_are_no_id_are_counted(submission, official):
    file = submission / "scene0707_00.txt"
    lines = file.read_text().splitlines()
    lines[:4] = ["0", "1.0", "", "0"]
    file.write_text("\n".join(lines) + "\n")
    (problem,) = check_submission(submission, official)
    assert problem == (f"{file}: 4 lines hold no id of the benchmark, such as '0', '1.0', ''")


def test_long_lines_are_cut_and_other_separators_are_no_lines(submission, official):
    file = submission / "scene0707_00.txt"
    lines = file.read_text().splitlines()
    lines[:2] = ["7" * 5000, "1\x0b1"]
    file.write_text("\n".join(lines) + "\n")
    (problem,) = check_submission(submission, official)
    assert "2 lines hold no id" in problem
    assert len(problem) < len(str(file)) + 300
    file.write_text("")
    assert "has 0 lines" in check_submission(submission, official)[0]


def test_a_file_that_is_no_text_is_reported(submission, official):
    (submission / "scene0707_00.txt").write_bytes(b"\xff\xfe1\n")
    (problem,) = check_submission(submission, official)
    assert "scene0707_00.txt: cannot be read as text" in problem


def test_a_missing_submission_folder_is_reported(official):
    assert check_submission(official / "no", official) == [f"{official / 'no'}: no such folder"]


def test_a_submission_of_validation_scenes_can_be_checked(official):
    folder = official / "val_submission"
    write_submission(folder / f"{NAME}.txt", np.ones(len(made_up_scene(NAME).xyz_N3), dtype=int))
    assert check_submission(folder, official, "val") == []
