from dataclasses import replace

import pytest

from equiseg.diagnosis.networks import open_network


@pytest.fixture
def branch_of(finished_run):
    """The center branch of the run, had its method been another."""
    network = open_network(finished_run)
    return lambda method: replace(
        network, config=replace(network.config, method=method)
    ).center_branch()


def test_the_branch_weighs_what_it_weighed_in_the_sum(branch_of):
    assert branch_of("cross_entropy + center_collapse").weight == 0.4
    assert branch_of("cross_entropy + 0.5*center_collapse").weight == pytest.approx(0.2)
    weighed = branch_of("0.5*cross_entropy + 3*center_collapse(weight=0.2)")
    assert weighed.weight == pytest.approx(0.6)


@pytest.mark.parametrize("other", ["region_rebalance", "learnable_center", "prototype_contrast"])
def test_no_other_loss_over_features_is_taken_for_it(branch_of, other):
    assert branch_of(f"cross_entropy + {other}") is None
    assert branch_of(f"cross_entropy + center_collapse + {other}").weight == 0.4
