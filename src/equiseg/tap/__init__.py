"""FeatureTap: the input of any network's pixel classifier, without editing the network."""

from equiseg.tap.feature_tap import FeatureTap

__all__ = ["FeatureTap"]
