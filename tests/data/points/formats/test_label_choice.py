from pathlib import Path

import pytest

from equiseg.data.errors import DataError
from equiseg.data.points.formats.label_choice import choose_label

FILE = Path("scan.ply")


@pytest.mark.parametrize("name", ["label", "Classification", "sem_class", "segment20"])
def test_the_only_usual_name_is_taken(name):
    assert choose_label(["x", name, "instance"], "", FILE) == name


def test_no_usual_name_is_no_label():
    assert choose_label(["x", "instance"], "", FILE) is None


def test_two_usual_names_need_a_choice():
    with pytest.raises(DataError, match=r"scan\.ply: labels may be 'label' or 'class'"):
        choose_label(["label", "class"], "", FILE)
    assert choose_label(["label", "class"], "class", FILE) == "class"
    assert choose_label(["label", "class"], None, FILE) is None


def test_a_chosen_name_must_exist():
    with pytest.raises(DataError, match="has no attribute 'truth'"):
        choose_label(["label"], "truth", FILE)
