"""Counts of named classes as CSV: the published files, and our own."""

import pytest
import torch

from equiseg.imbalance import ClassStatistics, ClassTable, FrequencyGroups
from places import SHARED_DATA

PUBLISHED = SHARED_DATA / "frequencies"
published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="published counts are not here")


@published
@pytest.mark.parametrize(
    ("name", "num_classes", "num_images", "pixels", "images"),
    [
        ("ade20k", 150, 20_210, 827.5, 282.6),
        ("coco_stuff164k", 171, 118_287, 2612.7, 528.6),
        ("cityscapes", 19, 2_975, 373.7, 20.8),
    ],
)
def test_published_counts_have_the_published_imbalance(
    name, num_classes, num_images, pixels, images
):
    table = ClassTable.read_csv(PUBLISHED / f"{name}.csv", num_images=num_images)
    statistics = table.statistics
    assert len(table.names) == statistics.num_classes == num_classes
    assert round(statistics.pixel_imbalance, 1) == pixels
    assert round(statistics.image_imbalance, 1) == images
    assert 1 < statistics.center_imbalance(16) < statistics.center_imbalance(2) < images
    assert table.regions_K is None


@published
def test_published_names_stay_whole():
    table = ClassTable.read_csv(PUBLISHED / "ade20k.csv")
    assert table.names[1] == "building, edifice"
    assert table.statistics.num_images == 11_588  # wall, in most images: the least there can be


@published
def test_counts_of_objects_are_no_counts_of_pixels():
    with pytest.raises(ValueError, match=r"scannet200\.csv: .*annotated_objects.*add pixels, imag"):
        ClassTable.read_csv(PUBLISHED / "scannet200.csv")


@pytest.mark.parametrize("regions_K", [None, torch.tensor([9, 0, 3])])
def test_a_written_table_comes_back_whole(regions_K, tmp_path):
    statistics = ClassStatistics(torch.tensor([2**40, 0, 7]), torch.tensor([5, 0, 2]), 12)
    names = ('road, "main"', "Straße", "a b")
    ClassTable(names, statistics, regions_K).write_csv(tmp_path / "counts.csv")
    table = ClassTable.read_csv(tmp_path / "counts.csv")
    assert table.names == names
    assert table.statistics.to_dict() == statistics.to_dict()
    assert (table.regions_K is None) == (regions_K is None)
    if regions_K is not None:
        assert torch.equal(table.regions_K, regions_K)
    assert ClassTable.read_csv(tmp_path / "counts.csv", num_images=20).statistics.num_images == 20


def test_rows_and_columns_may_come_in_any_order(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("\ufeffimages,colour,name,class_id,pixels\n1,red,b,1,5\n4,blue,a,0,90\n")
    table = ClassTable.read_csv(path)
    assert table.names == ("a", "b")
    assert table.statistics.to_dict() == {
        "pixels_K": [90, 5],
        "images_K": [4, 1],
        "num_images": 4,
    }
    assert FrequencyGroups.from_counts(table.statistics.pixels_K).head == (0,)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", r"counts\.csv: counts need the columns class_id, .* got an empty file; add class_id"),
        ("class_id,name,pixels\n", "got class_id, name, pixels; add images"),
        ("class_id,name,pixels,images\n", r"run from 0 to K-1, got \[\]\.\.\. in 0 rows"),
        ("class_id,name,pixels,images\n1,a,3,1\n2,b,3,1\n", r"0 to K-1, got \[1, 2\]\.\.\. in 2"),
        ("class_id,name,pixels,images\n0,a,3,1\n0,b,3,1\n", "line 3: class_id 0 is repeated; keep"),
        ("class_id,name,pixels,images\n0,a,3.5,1\n", r"line 2: pixels must be .* got '3\.5'"),
        ("class_id,name,pixels,images\n0,a,3,-1\n", "line 2: images must be .* got '-1'"),
        ("class_id,name,pixels,images\n0,a,3\n", "line 2: images must be .* got None"),
        ("class_id,name,pixels,images,num_images\n0,a,3,5,4\n", "got 4 under 5; count both again"),
    ],
)
def test_files_that_are_no_counts_are_refused(rows, message, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(rows)
    with pytest.raises(ValueError, match=message):
        ClassTable.read_csv(path)


def test_a_table_has_one_name_and_one_count_a_class():
    statistics = ClassStatistics.zeros(3)
    with pytest.raises(ValueError, match="each of the 3 classes, got 2 names and 3 regions"):
        ClassTable(("a", "b"), statistics)
    with pytest.raises(ValueError, match="got 3 names and 2 regions"):
        ClassTable(("a", "b", "c"), statistics, torch.tensor([1, 2]))
