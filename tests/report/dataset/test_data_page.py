"""The page of a data set: what it says, and its figures."""

import torch

from equiseg.data.statistics.counting import Counts
from equiseg.data.statistics.profile import DataProfile
from equiseg.imbalance import ClassStatistics, ContextStatistics
from equiseg.records.data_statistics import DataStatistics
from equiseg.report.dataset.figures import data_illustrations, frequency_figure
from equiseg.report.dataset.page import report_data
from equiseg.report.dataset.wording import (
    caveats,
    context_sentence,
    imbalance_sentence,
    ledes,
    seldom_sentence,
    size_text,
)


def make_profile(num_classes=4, **changes):
    """Ten images; the last class never comes."""
    generator = torch.Generator().manual_seed(0)
    masks = []
    for index in range(10):
        seen = 2 + index % (num_classes - 2)
        masks.append(torch.randint(0, seen, (8, 9), generator=generator))
    classes = tuple(f"<class {k}>" for k in range(num_classes))
    counts = Counts(
        ClassStatistics.from_labels(masks, num_classes),
        ContextStatistics.from_labels(masks, num_classes),
        num_pixels=800,
        smallest=(8, 9),
        largest=(8, 9),
    )
    return DataProfile(**({"title": "home", "classes": classes, "counts": counts} | changes))


def recorded(profile):
    return DataStatistics.of(profile.record())


def make_statistics(num_classes=4, **changes):
    return recorded(make_profile(num_classes, **changes))


def test_the_page_shows_the_counts_and_the_command(tmp_path):
    profile = make_profile(split="train", batch_size=2)
    profile.save(tmp_path / "statistics.json", command="equiseg stats home")
    statistics = DataStatistics.load(tmp_path / "statistics.json")
    page = report_data(tmp_path, statistics).read_text()
    assert imbalance_sentence(statistics) in page
    assert "train split, 10 images, four classes" in page
    assert "&lt;class 3&gt;" in page and "<class" not in page
    assert "equiseg stats home" in page
    assert page.count("<figure>") == 3
    assert DataProfile.load(tmp_path / "statistics.json").summary() == profile.summary()


def test_tables_have_no_maps(tmp_path):
    table = make_profile().table()
    profile = DataProfile.of_table("home", table)
    assert [figure.name for figure in data_illustrations(recorded(profile))] == ["frequencies"]
    page = report_data(tmp_path, recorded(profile)).read_text()
    assert "Context" not in page


def test_maps_are_shares_of_their_rows():
    profile = make_profile()
    _, adjacency, company = data_illustrations(recorded(profile))
    by_class = {}
    for row in adjacency.numbers:
        by_class[row["class"]] = by_class.get(row["class"], 0.0) + row["share"]
    assert all(abs(by_class[f"<class {k}>"] - 1) < 1e-12 for k in range(3))
    counts = profile.counts.context.cooccurrence_KK
    row = next(
        one for one in company.numbers if (one["class"], one["other"]) == ("<class 0>", "<class 2>")
    )
    assert row["count"] == counts[0, 2]
    assert row["share"] == counts[0, 2] / counts[0, 0]


def test_many_and_unseen_classes_can_be_drawn():
    for profile in (make_profile(80), DataProfile("none", ("a", "b"), Counts.zeros(2))):
        for figure in data_illustrations(recorded(profile)):
            figure.figure.draw_without_rendering()
    panels = frequency_figure(make_statistics()).axes
    assert [axes.get_title(loc="left").split()[0] for axes in panels] == [
        "pixels",
        "regions",
        "images",
        "centers",
    ]


def test_words():
    profile = make_statistics(voxel_size=0.5, unit="point", sample="block")
    assert caveats(profile) == [
        "One class never occurs: <class 3>. Measures are over the other classes.",
        "10 % of the points have no class.",
        "Regions and neighbours are of voxels of 0.5 m, cut at the borders of blocks.",
    ]
    assert context_sentence(profile).startswith("The class of a neighbouring voxel explains ")
    assert size_text(profile) == "8 × 9 pixels (height × width)"
    assert context_sentence(recorded(DataProfile("none", ("a", "b"), Counts.zeros(2)))) == ""
    assert "a factor of – in pixels" in imbalance_sentence(
        recorded(DataProfile("none", ("a", "b"), Counts.zeros(2)))
    )
    table = recorded(DataProfile.of_table("home", make_profile().table()))
    assert "9 images" not in caveats(table)[-1]


def test_classes_that_most_batches_are_without_are_named_the_rarest_first():
    profile = make_statistics(8, batch_size=2)  # in 4, 2 and 1 of 10 images: 0.64, 0.36 and 0.19
    text = seldom_sentence(profile)
    assert text.startswith("Fewer than half of all batches of 2 images hold <class 6>, <class 5>. ")
    assert text in ledes(profile)
    everywhere = seldom_sentence(make_statistics(8, batch_size=20))
    assert everywhere.startswith("Most batches of 20 images hold every class that occurs")
