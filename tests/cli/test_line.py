"""What a line means: the arguments that reach a command."""

from pathlib import Path

import pytest

from equiseg.cli.command_line import read_line
from equiseg.cli.function_options import typed_arguments
from equiseg.cli.main import VERBS
from equiseg.cli.verbs import Verb
from equiseg.commands import TaskFile
from equiseg.typed_options import OptionError


def read(verb, *words):
    found = Verb.of(verb, VERBS[verb])
    return typed_arguments(found.function, read_line(words, found.options()))


def test_nested_options_in_either_form():
    config = read(
        "train",
        "--data.card",
        "camvid",
        "--data.size",
        "[180, 240]",
        "--optimizer.lr=4e-3",
        "--data.root",
        "null",
        "--evaluation.scales=[0.75, 1]",
        "--log_collapse",
        "false",
    )["config"]
    assert config.data.size == (180, 240)
    assert config.optimizer.lr == 4e-3
    assert config.data.root is None
    assert config.evaluation.scales == (0.75, 1.0)
    assert config.log_collapse is False


def test_older_and_shorter_names_of_the_built_in_data_are_taken():
    old = ("--data.scenes.num_classes", "12", "--data.num_scenes", "[40, 10, 20]")
    short = ("--data.pictures.num_classes", "12", "--data.num_samples", "[40, 10, 20]")
    configs = [
        read("train", "--data.card", "scenes", *words, "--data.rooms.points", "2000")["config"]
        for words in (old, short)
    ]
    assert configs[0] == configs[1]
    data = configs[0].data.synthetic
    assert data.pictures.num_classes == 12
    assert data.num_samples == (40, 10, 20)
    assert data.scans.points == 2000


def test_older_names_of_the_counted_data_are_taken():
    words = ("scenes", "--scenes.context", "0.5", "--rooms.points", "2000", "--num_scenes", "5")
    options = read("stats", *words)["options"]
    assert options.pictures.context == 0.5
    assert options.scans.points == 2000
    assert options.num_samples == 5


@pytest.mark.parametrize(
    "words",
    [
        ("a/run", "camvid", "--split", "val", "--json"),
        ("--split", "val", "--json", "a/run", "camvid"),
        ("--json", "a/run", "--split=val", "camvid"),
        ("--json", "true", "a/run", "--split=val", "camvid"),
    ],
)
def test_data_and_options_in_any_order(words):
    given = read("diagnose", *words)
    assert given["run"] == Path("a/run")
    options = given["options"]
    assert (options.data, options.split, options.json) == ("camvid", "val", True)


def test_files_and_options_count_in_their_order(tmp_path):
    (tmp_path / "a.yaml").write_text("epochs: 4\ndata: {augment: {flip: 0.1}, cache_gb: 1}\n")
    (tmp_path / "b.yaml").write_text("epochs: 6\ndata: {augment: {flip: 0.2}}\nout: there\n")
    a, b = str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")
    given = read("train", "--config", a, "--config", b, "--epochs", "8")
    config = given["config"]
    assert (config.epochs, config.data.augment.flip, config.data.cache_gb) == (8, 0.2, 1.0)
    assert given["out"] == Path("there")
    assert read("train", "--epochs", "8", "--config", a)["config"].epochs == 4


def test_lists_and_mappings(tmp_path):
    (tmp_path / "study.yaml").write_text(
        "tasks:\n  one: {config: one.yaml}\n  two: {config: two.yaml, seeds: [3, 4]}\n"
    )
    methods = '["cross_entropy", "strong:method=cross_entropy + center_collapse(weight=0.8)"]'
    options = read(
        "compare", "--config", str(tmp_path / "study.yaml"), "--methods", methods, "--seeds", "[0]"
    )["options"]
    assert options.methods[1].startswith("strong:method=")
    assert options.seeds == (0,)
    assert options.tasks == {
        "one": TaskFile(Path("one.yaml")),
        "two": TaskFile(Path("two.yaml"), (3, 4)),
    }


def test_a_mapping_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "study.yaml").write_text("tasks:\n  one: {config: one.yaml}\n")
    words = ("--config", str(tmp_path / "study.yaml"), "--tasks", "{two: {config: two.yaml}}")
    assert list(read("compare", *words)["options"].tasks) == ["two"]


def test_one_path_or_several():
    assert read("predict", "--inputs", "a")["inputs"] == Path("a")
    assert read("predict", "--inputs", "[a, b/]")["inputs"] == [Path("a"), Path("b")]


def test_text_with_brackets_stays_text():
    assert read("train", "--out", "[x] y")["out"] == Path("[x] y")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("data: 3", "data"),
        ("data: {augment: 3}", "data.augment"),
        ("data:\n  augment: [1, 2]", "data.augment"),
        ("optimizer:", "optimizer"),
    ],
)
def test_a_section_of_a_file_holds_options(text, name, tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text(text)
    with pytest.raises(OptionError, match=rf"^{file}: {name} must hold options, as '\w+: ") as told:
        read("train", "--config", str(file))
    assert "got '" in str(told.value)
