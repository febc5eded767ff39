import pytest
import yaml

from equiseg.study.method_texts import method_texts
from equiseg.study.plan import Plan, Task
from places import ROOT
from runs import tiny_config

# The methods of benchmarks/study/study.yaml as the command line takes them: the draws of a search
# follow from these texts, so the rows of benchmarks/results/study.csv rest on them.
_FORMULAS = "enet or choice(square_root, median_frequency, effective_number)"
STUDY = [
    "cross_entropy",
    f"weighted:method=weighted_cross_entropy(weight={_FORMULAS})",
    "focal:method=focal(gamma=2 or uniform(0.5, 4))",
    "dice:method=cross_entropy + 1 or loguniform(0.3, 3)*dice",
    "logit_adjusted:method=logit_adjusted(tau=1 or uniform(0.1, 0.7))",
    "ldam:method=ldam(scale=1, max_margin=2 or loguniform(0.5, 5))",
    "seesaw:method=seesaw(mitigation=0.8 or uniform(0.3, 1.2))",
    "sampled:method=cross_entropy, data.sampling.by=rare_class, "
    "data.sampling.temperature=0.01 or loguniform(0.03, 0.3)",
    "region_rebalance:method=cross_entropy + "
    "region_rebalance(prior=image, weight=1 or loguniform(0.1, 0.6))",
    "ceco:method=cross_entropy + center_collapse(weight=0.4 or loguniform(0.1, 0.6))",
    "ceco_published:method=cross_entropy + "
    "center_collapse.published(weight=0.8 or loguniform(0.1, 0.6))",
    "ceco_dice:method=cross_entropy + 1 or loguniform(0.3, 3)*dice + "
    "center_collapse(weight=0.4 or loguniform(0.1, 0.6))",
    f"ceco_weighted:method=weighted_cross_entropy(weight={_FORMULAS}) + "
    "center_collapse(weight=0.4 or loguniform(0.1, 0.6))",
]


def read_methods(name: str) -> dict:
    text = (ROOT / "benchmarks" / "study" / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["methods"]


def test_the_study_file_says_the_same_as_its_texts():
    assert method_texts(read_methods("study")) == STUDY


def test_the_file_of_learning_rates_says_the_same_as_its_text():
    assert method_texts(read_methods("rates")) == [
        "cross_entropy:method=cross_entropy, optimizer.lr=4e-3 or choice(8e-3, 16e-3, 32e-3)"
    ]


def test_a_mapping_and_its_texts_try_the_same_settings(tmp_path):
    mapping = {"cross_entropy": None, "focal": "focal(gamma=2 or uniform(0.5, 5))"}
    texts = ["cross_entropy", "focal:method=focal(gamma=2 or uniform(0.5, 5))"]
    tasks = [Task("a", tiny_config(epochs=1), [3])]
    by_form = [
        Plan(tasks, method_texts(methods, search), tmp_path, trials=3).trial_runs()
        for methods, search in (
            (texts, ["optimizer.lr=1e-3 or loguniform(5e-4,4e-3)"]),
            (mapping, {"optimizer": {"lr": "1e-3 or loguniform(5e-4,4e-3)"}}),
            (mapping, {"optimizer.lr": "1e-3 or loguniform(5e-4,4e-3)"}),
        )
    ]
    assert len(by_form[0]) == 6
    assert by_form[0] == by_form[1] == by_form[2]


def test_values_of_a_mapping_are_written_as_on_the_command_line():
    changes = {
        "method": "ceco",
        "data": {"augment": {"crop": [32, 48]}, "cache_gb": 0.5},
        "log_collapse": False,
        "patience": None,
    }
    assert method_texts({"cropped": changes}) == [
        "cropped:method=ceco, data.augment.crop=[32, 48], data.cache_gb=0.5, "
        "log_collapse=false, patience=null"
    ]


def test_texts_without_a_search_are_left_as_they_are():
    texts = ["ceco", "focal:method=focal(gamma=1),epochs=3"]
    assert method_texts(texts) == texts


@pytest.mark.parametrize(
    ("methods", "search", "message"),
    [
        # In braces, YAML ends a plain value at its comma.
        (
            yaml.safe_load("focal: {method: focal(gamma=2 or uniform(0.5, 4))}"),
            [],
            r"methods\.focal: cannot read method: 'focal\(gamma=2 or uniform\(0\.5'; .* quotes",
        ),
        ({"a:b": "dice"}, [], "a name has neither ':' nor spaces, got 'a:b'"),
        ({"a b": "dice"}, [], "a name has neither ':' nor spaces, got 'a b'"),
        (
            ["ceco"],
            {"optimizer.lr": "1e-3, seed=2"},
            r"search: cannot read optimizer\.lr: '1e-3, seed=2'",
        ),
    ],
)
def test_mappings_that_cannot_be_read(methods, search, message):
    with pytest.raises(ValueError, match=message):
        method_texts(methods, search)
