"""Any card, however strange, is read or refused by name."""

import math

import pytest
import yaml
from benchmarks.robustness.originals import write_images
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equiseg.data.card_file import load_card
from equiseg.data.image_card import ImageCard
from equiseg.data.images.folder import ImageFolder
from equiseg.foreign_files import FileError

NAMES = st.sampled_from(
    ("road", "car", "sign", "null", "road ", "é", "e\u0301", "[b]x[/b]", "$x^2$")
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ("train", "{split}", "{x}", "..", "images/{split}", "annotations/{split}", ".")
    )
)
VALUES = st.recursive(
    SCALARS | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.integers(0, 300), inner, max_size=3)
    ),
    max_leaves=6,
)
GOOD = {
    "name": st.just("street"),
    "root": st.just("."),
    "classes": st.just(["road", "car", "sign"])
    | st.lists(NAMES, min_size=1, max_size=4)
    | st.dictionaries(st.integers(-1, 70000), NAMES, max_size=4),
    "splits": st.just({"train": "train", "val": "val"}) | st.just({"train": ["0", "1"]}),
    "ignore_values": st.lists(st.integers(-1, 300), max_size=2),
    "ignore_index": st.integers(-2, 70000),
    "background": NAMES,
    "images": st.just("images/{split}"),
    "annotations": st.just("annotations/{split}"),
}


@st.composite
def cards(draw):
    """Fields of a card: most of them good ones, one or two of any kind, one or two missing."""
    fields = draw(st.lists(st.sampled_from(list(GOOD)), min_size=3, unique=True))
    card = {field: draw(GOOD[field]) for field in {"name", "root", "classes", "splits", *fields}}
    for field in draw(st.lists(st.sampled_from((*GOOD, "form", "x")), max_size=2)):
        card[field] = draw(VALUES)
    for field in draw(st.lists(st.sampled_from(list(GOOD)), max_size=1)):
        card.pop(field, None)
    return card


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    folder = tmp_path_factory.mktemp("street")
    write_images(folder)
    return folder


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(card=cards())
def test_a_card_is_read_or_refused_by_name(street, card):
    file = street / "made.yaml"
    file.write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8", errors="replace")
    try:
        found = load_card(file)
        names = found.class_names()
        ids = found.ids_by_value()
        found.background_id()
        if isinstance(found, ImageCard):
            sample = ImageFolder(found, next(iter(found.splits)))[0]
    except FileError as error:
        assert len(str(error)) < 3000
        return
    assert len(set(names)) == len(names) > 1
    assert all(0 <= one < len(names) or one == found.ignore_index for one in ids.values())
    if isinstance(found, ImageCard):
        assert set(sample.labels.unique().tolist()) <= {*range(len(names)), found.ignore_index}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=st.text(max_size=60) | st.lists(SCALARS | NAMES).map(str))
def test_any_text_is_a_card_or_refused(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("text") / "made.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(FileError, match=r"made\.yaml"):
        load_card(file, file.parent)


def test_floats_that_are_no_numbers_are_no_lengths(tmp_path):
    card = {"name": "a", "classes": ["a", "b"], "splits": {"train": "x"}, "form": "ply"}
    for voxel in (math.nan, math.inf, -1, 0, "x", None, True):
        file = tmp_path / "card.yaml"
        file.write_text(yaml.safe_dump(card | {"points": "*.ply", "voxel": voxel}))
        with pytest.raises(FileError, match="voxel"):
            load_card(file, tmp_path)
