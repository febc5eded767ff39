"""Data cards: their meaning, and messages for invalid fields."""

import dataclasses
import math

import pytest
import yaml

from equiseg.data import DataError, ImageCard, PointCard, load_card

LIST = {"name": "toy", "classes": ["sky", "road", "car"], "splits": {"train": "train"}}


def card(**changes):
    return ImageCard(**(LIST | changes))


def write(folder, text):
    file = folder / "card.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_list_of_classes_names_the_values_in_order():
    assert card().class_names() == ("sky", "road", "car")
    assert card(ignore_values=[7]).ids_by_value() == {0: 0, 1: 1, 2: 2, 7: 255, 255: 255}


def test_a_mapping_numbers_classes_in_its_order_and_merges_values_of_one_name():
    merged = card(classes={9: "car", 2: "sky", 4: "car"}, ignore_index=200)
    assert merged.class_names() == ("car", "sky")
    assert merged.ids_by_value() == {9: 0, 2: 1, 4: 0, 200: 200}


def test_classes_may_be_in_a_file_of_the_data_folder(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffsky\r\n  straße \nroad\n\n", encoding="utf-8")
    in_file = card(classes="names.txt", root=str(tmp_path))
    assert in_file.class_names() == ("sky", "straße", "road")
    assert in_file.ids_by_value() == {0: 0, 1: 1, 2: 2, 255: 255}


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00sky"], ids=["absent", "not UTF-8"])
def test_an_unreadable_classes_file_is_named(tmp_path, content):
    if content:
        (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"classes: .*names\.txt: .*; classes must be a list"):
        card(classes="names.txt", root=str(tmp_path)).class_names()


def test_a_list_must_not_repeat_a_name():
    with pytest.raises(DataError, match=r"got \['sky'\] more than once.*as a mapping"):
        card(classes=["sky", "road", "sky"]).class_names()


def test_classes_may_be_ignored_by_name():
    some = card(ignore_classes=["road"], classes=["sky", "road", "car", "bus"])
    assert some.class_names() == ("sky", "car", "bus")
    assert some.ids_by_value() == {0: 0, 1: 255, 2: 1, 3: 2, 255: 255}
    merged = card(ignore_classes=["car"], classes={9: "car", 2: "sky", 4: "car", 1: "sea"})
    assert merged.ids_by_value() == {9: 255, 2: 0, 4: 255, 1: 1, 255: 255}
    with pytest.raises(DataError, match=r"ignore_classes must be names of classes, got \['boat'\]"):
        card(ignore_classes=["boat"]).class_names()
    with pytest.raises(DataError, match=r"at least 2, got \('car',\) that are not ignored"):
        card(ignore_classes=["sky", "road"]).class_names()
    with pytest.raises(DataError, match=r"background must be one of .* got 'sky'"):
        card(ignore_classes=["sky"], background="sky").background_id()


@pytest.mark.parametrize("text", ["sky\n\nroad\n", "\nsky\nroad"])
def test_a_blank_line_among_the_classes_is_refused(tmp_path, text):
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"names\.txt: line [12] is blank.*remove the blank line"):
        card(classes="names.txt", root=str(tmp_path)).class_names()


def test_a_value_cannot_be_a_class_and_ignored():
    with pytest.raises(DataError, match=r"values \[1, 2\] are both.*remove them"):
        card(ignore_values=[1, 2, 11]).ids_by_value()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"train": [1, "0002", 7]}}, r"train must be .* got \[1, 7\]; put .* in quotes"),
        ({"splits": {"train": None}}, r"train must be a folder name .* got \[None\]"),
        ({"splits": ["train"]}, r"splits must map .* got \['train'\]"),
        ({"splits": {}}, r"splits must map .* got \{\}"),
        (
            {"classes": {0: None, 1: "sky"}},
            r"classes must be names, got \[None\]; put .* in quotes",
        ),
        ({"classes": ["sky", False]}, r"classes must be names, got \[False\]"),
        ({"classes": 3}, r"classes must be names, got \[3\]"),
        ({"classes": {"a": "sky", 7: "sea"}}, r"classes must have whole numbers .* got \['a'\]"),
        ({"classes": {1: "sky", 70000: "sea"}}, r"classes must have .* 0\.\.65535, got \[70000\]"),
        ({"ignore_values": [-1]}, r"ignore_values must have mask values 0\.\.65535, got \[-1\]"),
        ({"ignore_values": 11}, r"ignore_values must have .* got \[11\]"),
        ({"ignore_values": [10**30]}, r"ignore_values must have values of at most 31 bits, got"),
        ({"ignore_classes": "sky"}, r"ignore_classes must be a list of names .* got \['sky'\]"),
        ({"ignore_index": 10**30}, r"ignore_index must be an integer >= 0 of at most 31 bits"),
        ({"name": 3}, r"card 3: .*\n  name must be a text, got 3; put it in quotes"),
        ({"background": ["sky"]}, r"background must be a text, got \['sky'\]"),
        ({"root": [1]}, r"root must be a text, got \[1\]"),
        ({"classes": ["sky", " "]}, r"classes must have names, got a blank one"),
        ({"classes": 1.5}, r"classes must be names, got \[1\.5\]"),
        ({"classes": None}, r"classes must be names, got \[None\]"),
        ({"classes": {1.5: "sky", 2: "sea"}}, r"classes must have whole numbers .* got \[1\.5\]"),
        (
            {"classes": b"sky", "colors": {"sky": "#112233"}},
            r"classes must be names, got \[b'sky'\]",
        ),
        ({"ignore_values": b"sky"}, r"ignore_values must have whole numbers .* got \[b'sky'\]"),
        (
            {"classes": ["sky", "ro\x1b[31mad"]},
            r"no line breaks and control .*\['ro\\x1b\[31mad'\]",
        ),
        ({"classes": {0: "sky", 1: "ro\u2028ad"}}, r"no line breaks and control .* got \['ro"),
        ({"classes": "na\0mes.txt"}, r"classes must have no line breaks and control characters"),
        ({"name": "to\ny"}, r"name must have no line breaks and control .* got 'to\\ny'"),
        ({"background": "s\x07ky"}, r"background must have no line breaks and control"),
        ({"root": "da\0ta"}, r"root must have no line breaks and control"),
        ({"about": "bel\x07l"}, r"about must have no line breaks and control"),
        (
            {"splits": {"tr\tain": "train"}},
            r"splits must have names with no line breaks and control",
        ),
        ({"classes": [["x" * 900] * 9]}, r"classes must be names, got \[\['x{70,77}\.\.\.;"),
        ({"ignore_index": -100}, r"ignore_index must be an integer >= 0 .* got -100"),
        ({"ignore_index": "255"}, r"ignore_index must be an integer >= 0 .* got '255'"),
        ({"images": "{part}/images"}, r"images must be a folder name.* got '\{part\}/images'"),
        ({"annotations": None}, r"annotations must be a folder name.* got None"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_with_its_value(changes, message):
    with pytest.raises(DataError, match=message):
        card(**changes)


def test_remarks_may_have_several_lines():
    assert card(about="by:\tA\nfrom: B\n").about.count("\n") == 2


@pytest.mark.parametrize("control", ["\x0b", "\x1b[1m", "\x85", "\u2028"])
def test_a_control_character_in_a_file_of_classes_is_refused(tmp_path, control):
    (tmp_path / "names.txt").write_text(f"sky\nroad{control}way\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"names\.txt: line 2: a class must have .*no line breaks"):
        card(classes="names.txt", root=str(tmp_path)).class_names()


@pytest.mark.parametrize(
    "classes", [["caf\u00e9", "cafe\u0301"], {3: "cafe\u0301", 4: "caf\u00e9"}]
)
def test_names_that_differ_in_their_unicode_form_only_are_refused(classes):
    with pytest.raises(DataError, match="two Unicode forms, which look the same"):
        card(classes=classes).class_names()


_ODD = [None, True, 1, 1.5, math.nan, "", "x", [], [1], [None], [["a"]], {}, {1: 2}, {"a": None}]
_ODD += [{"train": 1.5}, {"train": [[1]]}, {None: None}, {True: "a", 2: "b"}, b"bytes", 10**30]
_ODD += ["{", "{0}", "{split!r}", "x" * 300, {"a": ["#112233"]}, {"head": [1], "tail": 2}]


@pytest.mark.parametrize("kind", [ImageCard, PointCard])
def test_a_field_of_any_type_is_read_or_refused_with_the_file(tmp_path, kind):
    usual = {"name": "toy", "classes": ["a", "b"], "splits": {"train": "x"}, "root": "."}
    if kind is PointCard:
        usual |= {"form": "ply", "points": "{split}/*.ply"}
    for field in dataclasses.fields(kind):
        for odd in _ODD:
            file = write(tmp_path, yaml.safe_dump(usual | {field.name: odd}))
            try:
                load_card(file)
            except DataError as error:
                assert str(error).startswith(str(file))
                assert field.name in str(error)


def test_all_wrong_fields_are_listed_at_once():
    with pytest.raises(DataError, match=r"card toy: .*\(3\):") as caught:
        card(images=0, ignore_index=-1, classes=[1, 2])
    for field_name in ("images", "ignore_index", "classes"):
        assert f"\n  {field_name} must" in str(caught.value)


def test_the_root_is_relative_to_the_card(tmp_path):
    (tmp_path / "pictures").mkdir()
    file = write(tmp_path, "{name: toy, classes: [a, b], splits: {train: x}, root: pictures}")
    assert load_card(file).path == tmp_path / "pictures"
    assert load_card(str(file), root=tmp_path).path == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{name: toy, classes: [a, b], splits: {train: x}, root: [1]}",
            r"card\.yaml: root must be",
        ),
        (
            "{name: toy, classes: [a, b], splits: {train: x}, root: ., images: 1}",
            r"card\.yaml: card toy: .*\n  images must be a folder name",
        ),
        (
            "{name: toy, clases: [a, b]}",
            r"card\.yaml: unknown fields \['clases'\]; a card of images has",
        ),
        ("{name: toy}", r"card\.yaml: missing fields \['classes', 'splits'\]; every card needs"),
        ("[a, b]", r"card\.yaml: a card is a mapping of fields, got list"),
        ("{name: [", r"card\.yaml: not valid YAML"),
        ("{name: toy, classes: [a, b], splits: {train: x}}", r"names no data folder; give one"),
        (
            "{name: toy, classes: [a, b], splits: {train: x}, root: gone}",
            r"data folder .*gone does not exist; give another",
        ),
    ],
)
def test_a_card_that_cannot_be_used_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_card(write(tmp_path, text))


def test_a_card_in_another_encoding_is_named(tmp_path):
    file = tmp_path / "card.yaml"
    file.write_bytes("{name: Straße}".encode("latin-1"))
    with pytest.raises(DataError, match=r"card\.yaml: not UTF-8 at byte 11 .*; save it as UTF-8"):
        load_card(file)


def test_an_unknown_card_names_the_known_ones(tmp_path):
    with pytest.raises(DataError, match=r"no data card 'cityscape'.*camvid, ccp"):
        load_card("cityscape")
    with pytest.raises(DataError, match=r"gone\.yaml: no such card"):
        load_card(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("name", "num_classes", "background", "ignored"),
    [("camvid", 11, None, [11]), ("ccp", 44, "null", [6, 8, 11, 12, 15])],
)
def test_the_cards_of_the_package(tmp_path, name, num_classes, background, ignored):
    built_in = load_card(name, root=tmp_path)
    assert len(built_in.class_names()) == num_classes
    assert built_in.background == background
    assert list(built_in.ignore_values)[:5] == ignored
    assert list(built_in.splits) == ["train", "val", "test"]
    assert built_in.about


def test_the_fixed_split_of_ccp_has_every_photograph_once(tmp_path):
    splits = load_card("ccp", root=tmp_path).splits
    assert [len(names) for names in splits.values()] == [560, 80, 160]
    assert len({name for names in splits.values() for name in names}) == 800


SCANS = {
    "name": "tiles",
    "form": "las",
    "points": "{split}/*.laz",
    "classes": {2: "ground", 6: "building", 17: "bridge"},
    "splits": {"train": "train", "val": "val"},
}


def scans(**changes: object) -> PointCard:
    return PointCard(**(SCANS | changes))


def test_a_card_with_a_form_is_of_point_clouds(tmp_path):
    text = "{name: tiles, form: las, points: '{split}/*.laz', classes: [a, b], splits: {train: x}}"
    read = load_card(write(tmp_path, text), root=tmp_path)
    assert isinstance(read, PointCard)
    assert read.ids_by_value() == {0: 0, 1: 1}  # 255 is a code as any other, not ignored unasked


def test_the_splits_of_a_pattern_are_listed_once():
    assert scans(splits=["train", "val", "train"], block=50).split_names() == ["train", "val"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "e57"}, r"form must be one of las, ply, .* got 'e57'"),
        ({"points": ""}, r"points must be given for form 'las', as in"),
        ({"points": "{part}/*.laz"}, r"points must be a pattern of files.* got '\{part\}/\*\.laz'"),
        ({"splits": ["train", "val"]}, r"splits that deal blocks need block"),
        ({"splits": []}, r"splits must map .* or be a list of split names"),
        ({"splits": {"train": [3]}}, r"list of scan names, got \[3\]"),
        ({"features": "rgb"}, r"features must be a list of names, got \['rgb'\]"),
        ({"voxel": 0}, r"voxel must be a length in meters above 0, got 0"),
        ({"block": -5}, r"block must be a length in meters above 0, got -5"),
        ({"margin": "wide"}, r"margin must be a length in meters, got 'wide'"),
        ({"margin": 2.0}, r"margin needs blocks to lie around, got 2\.0 without block"),
        ({"voxel": float("nan")}, r"voxel must be a length in meters above 0, got nan"),
        ({"voxel": True}, r"voxel must be a length in meters above 0, got True"),
        ({"points": "{split}"}, r"points must name files, as in .* got '\{split\}'"),
        ({"points": "*.laz"}, r"would have no effect, as no pattern has \{split\}"),
        ({"ignore_others": "no"}, r"ignore_others must be true or false, got 'no'"),
        ({"ignore_index": "255"}, r"ignore_index must be an integer >= 0 .* got '255'"),
        ({"groups": ["ground"]}, r"groups must be lists .*, got \['ground'\]"),
        ({"groups": {"head": None, "common": [], "tail": []}}, r"groups must be lists .* None"),
        ({"groups": {"head": ["ground"]}}, r"groups must be lists of names under head, common"),
        (
            {"groups": {"head": ["ground"], "common": ["building"], "tail": []}},
            r"groups must hold every class exactly once, got \['bridge'\]",
        ),
    ],
)
def test_an_invalid_field_of_a_point_card_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        scans(**changes)
