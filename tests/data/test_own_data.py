"""A user's own data set class: samples, splits, and a message for every mistake."""

import numpy as np
import pytest
import torch

from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.own_data import NoSplitError, OwnData
from equiseg.data.sources import count_classes, find_source, open_split, split_names

IMAGE = torch.zeros(3, 4, 6, dtype=torch.uint8)
LABELS = torch.tensor([[0, 1, 255]]).repeat(4, 2)


def build(image=IMAGE, labels=LABELS, num_images=2, **attributes):
    """A function that builds a class with these samples and attributes."""

    class Own:
        class_names = ("road", "car")

        def __len__(self):
            return num_images

        def __getitem__(self, i):
            return image, labels

    for name, value in attributes.items():
        setattr(Own, name, value)
    return lambda split, root=None: Own()


def test_samples_have_our_types():
    data = OwnData(build(background="road"), "Own", "val")
    assert (data.classes, data.ignore_index, data.background) == (("road", "car"), 255, 0)
    sample = data[1]
    assert (sample.image.dtype, sample.labels.dtype) == (torch.uint8, torch.uint8)
    assert sample.name == "val-00001"
    assert data.channels == ("red", "green", "blue")
    assert [len(data), len(list(data))] == [2, 2]


def test_numpy_arrays_and_other_channels():
    image = np.linspace(0, 1, 5 * 24).reshape(5, 4, 6)
    data = OwnData(build(image, LABELS.numpy().astype(np.int32)), "Own", "train")
    assert len(data.channels) == 5
    assert data[0].image.dtype == torch.float32
    torch.testing.assert_close(data[0].image.double(), torch.from_numpy(image))


def test_arrays_of_any_layout_are_read_and_may_be_written_to(recwarn):
    image = np.arange(72, dtype=np.uint8).reshape(3, 4, 6)
    fixed = image.copy()
    fixed.flags.writeable = False
    labels = LABELS.numpy()[:, ::-1].astype(">i4")
    for given in (fixed, image[:, ::-1][:, ::-1]):
        sample = OwnData(build(given, labels), "Own", "train")[0]
        np.testing.assert_array_equal(sample.image, image)
        np.testing.assert_array_equal(sample.labels, labels)
        sample.image[:] = 0
    assert not recwarn


def test_size_resizes_images_smoothly_and_labels_by_the_nearest():
    image = torch.arange(24).view(1, 4, 6).to(torch.uint8)
    sample = OwnData(build(image), "Own", "train", size=(8, 12))[0]
    assert (sample.image.shape, sample.image.dtype) == ((1, 8, 12), torch.uint8)
    assert torch.equal(sample.labels, LABELS.repeat_interleave(2, 0).repeat_interleave(2, 1).byte())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": "road"}, r"Own\.class_names must be a list of names, got 'road'"),
        ({"class_names": ["a", "a"]}, "at least 2 different names"),
        ({"class_names": ["a", "b\n"]}, r"Own: class_names must have names with no line breaks"),
        ({"ignore_index": 10**30}, "ignore_index must be .* got 1000000.*has at most 31 bits"),
        ({"ignore_index": True}, "ignore_index must be a whole number .* got True"),
        ({"ignore_index": 1}, "ignore_index must be a whole number that is no class id, got 1"),
        ({"background": "sky"}, r"background must be one of the class names \['road', 'car'\]"),
        ({"num_images": 0}, "is empty"),
        ({"image": IMAGE[0]}, r"Own\('train'\)\[0\]: image must be \(C, H, W\), channels first"),
        ({"image": IMAGE.int()}, "image must be uint8 .* got torch.int32"),
        ({"image": IMAGE + 2.0}, r"must lie in \[0, 1\], got 2 to 2"),
        ({"image": IMAGE * float("nan")}, r"must lie in \[0, 1\], got nan"),
        ({"image": "file.png"}, "image must be a tensor or a numpy array, got str"),
        ({"labels": LABELS[None]}, r"class ids of shape \(H, W\), got \(1, 4, 6\)"),
        ({"labels": LABELS.float()}, "labels must be whole numbers, got torch.float32"),
        ({"labels": LABELS + 1}, r"labels must be 0 to 1 \(class_names\) or 255 .* got \[2, 256\]"),
        ({"labels": LABELS[:2]}, r"must have one \(H, W\), got \(4, 6\) and \(2, 6\)"),
    ],
)
def test_invalid_data_sets_are_refused_by_name(changes, message):
    with pytest.raises(DataError, match=message):
        OwnData(build(**changes), "Own", "train")


def test_samples_that_fail_or_are_no_pairs_are_refused():
    class Single:
        class_names = ("a", "b")

        def __init__(self, split, root=None):
            pass

        def __len__(self):
            return 1

        def __getitem__(self, i):
            return {"image": IMAGE}

    with pytest.raises(DataError, match=r"must be a pair \(image, labels\), got dict"):
        OwnData(Single, "Single", "train")
    Single.__getitem__ = lambda self, i: 1 / 0
    with pytest.raises(DataError, match=r"Single\('train'\)\[0\]: failed: ZeroDivisionError"):
        OwnData(Single, "Single", "train")


@pytest.fixture
def module(tmp_path):
    """A file with a class that has no test split and uses its root."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "class Mine:\n"
        "    class_names = ['a', 'b', 'c']\n"
        "    def __init__(self, split, root=None):\n"
        "        self.number = {'train': 4, 'val': 2}[split] + (root == 'more')\n"
        "    def __len__(self):\n"
        "        return self.number\n"
        "    def __getitem__(self, i):\n"
        "        return torch.zeros(3, 8, 8), torch.full((8, 8), i % 3)\n"
    )
    return file


def test_a_class_is_a_source_like_any_other(module, monkeypatch):
    monkeypatch.chdir(module.parent)
    config = DataConfig(card="mine.py:Mine", root="more")
    assert config.card == f"{module}:Mine"  # found again from any folder
    assert count_classes(config) == 3
    with pytest.warns(UserWarning, match="no test split: Mine.'test', root='more'. failed"):
        assert split_names(config) == ["train", "val"]
    assert len(open_split(config, "train")) == 5
    assert find_source(config).title == "Mine"
    assert find_source(config).reading() is None


def test_a_missing_train_split_is_an_error(module):
    module.write_text(module.read_text().replace("'train': 4, ", ""))
    with pytest.raises(NoSplitError, match=r"Mine\('train', root=None\) failed: KeyError"):
        count_classes(DataConfig(card=f"{module}:Mine"))


def test_a_missing_class_is_an_error(module):
    with pytest.raises(ValueError, match=r"data\.card: no 'Yours' in"):
        find_source(DataConfig(card=f"{module}:Yours"))
