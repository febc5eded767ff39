"""Opening what a diagnosis needs: networks, their data, class frequencies of the training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.images.transforms import to_tensors
from equiseg.data.sample import DataSpec
from equiseg.data.sources import find_source, open_split
from equiseg.data.statistics.counting import count_data
from equiseg.diagnosis.networks import TrainedNetwork, check_logits, is_run, open_network
from equiseg.diagnosis.options import DiagnoseOptions
from equiseg.imbalance import ClassStatistics, FrequencyGroups
from equiseg.losses import CenterCollapseLoss
from equiseg.progress import Track, untracked
from equiseg.training.opened_data import frequency_groups


@dataclass(frozen=True, eq=False)
class OpenedDiagnosis:
    """Networks to analyse, and the data to analyse them on.

    Attributes:
        networks: Under "" the one in question, under "baseline" the one to compare with, if any,
            which comes first.
        names: What to call each.
        branches: The regularizer that each was trained with, if any.
        config: The data.
        split: Its split.
        statistics: Class frequencies in training.
        origin: Where these come from, in words.
    """

    networks: dict[str, TrainedNetwork]
    names: dict[str, str]
    branches: dict[str, CenterCollapseLoss | None]
    config: DataConfig
    split: str
    statistics: ClassStatistics
    origin: str

    def data(self, key: str) -> tuple[Any, FrequencyGroups]:
        """The split as a network reads it, and the groups of its classes.

        Raises:
            ValueError: If the network was not trained with these classes.
        """
        network = self.networks[key]
        # A network reads the same data at the size it was trained with.
        size = self.config.size if key == "" else _size(network, self.config)
        opened = _opened(network, replace(self.config, size=size), self.split)
        if network.card is not None:
            return opened, network.card.groups
        return opened, frequency_groups(DataSpec.of(opened), self.statistics.pixels_K)


def open_diagnosis(
    run: Path,
    options: DiagnoseOptions,
    track: Track = untracked,
) -> OpenedDiagnosis:
    """Open networks and find their data.

    Args:
        run: Folder of a run, its weights, or what ``options.loader`` reads.
        options: The baseline, the data and its split.
        track: Shows the progress over samples.

    Raises:
        ValueError: If there is no network to open, or its data are not known.
        DataError: If the data cannot be used.
    """
    networks = {"": open_network(run, options.loader)}
    if (baseline := options.baseline) is not None:
        loader = None if is_run(Path(baseline)) else options.loader
        networks = {"baseline": open_network(Path(baseline), loader)} | networks
    names = {key: network.name for key, network in networks.items()}
    if len(set(names.values())) < len(names):  # two seeds of one variant
        names = {"baseline": str(baseline), "": str(run)}
    config = _data_config(networks[""], options.data, options.root)
    statistics, origin = _statistics(
        networks[""], config, options.split, options.num_workers, track
    )
    branches = {key: network.center_branch() for key, network in networks.items()}
    return OpenedDiagnosis(networks, names, branches, config, options.split, statistics, origin)


def _data_config(network: TrainedNetwork, data: str | None, root: str | None) -> DataConfig:
    """The data to analyse: as named, else the data of the run."""
    own = network.config.data if network.config else None
    if data is None:
        if own is None:
            raise ValueError(
                f"data must be named for {network.name}, which does not say what it was trained "
                'on; give a card, or "pictures" or "scans"'
            )
        return replace(own, root=root or own.root)
    named = DataConfig(card=data, root=root)
    if own is not None and own.card == named.card:
        return replace(own, root=root or own.root)
    return replace(named, size=_size(network, named))


def _size(network: TrainedNetwork, config: DataConfig) -> tuple[int, int] | None:
    """The size a network reads images at."""
    return network.card.size if network.card and find_source(config).takes_size else None


def _opened(network: TrainedNetwork, config: DataConfig, split: str) -> Any:
    """The split, after a check that the network is one of these classes."""
    source = find_source(config)
    opened, name = source.open(split), source.title
    if network.card is None:
        if source.reading() is not None:
            raise ValueError(f"loader is for networks of images, got {name}, which holds scans")
        check_logits(network, to_tensors(opened[0])[0], len(opened.classes))
        return opened
    ours, theirs = network.card.classes, tuple(opened.classes)
    if len(ours) != len(theirs):
        raise ValueError(
            f"{network.name} predicts {len(ours)} classes, {name} has {len(theirs)}; name the "
            "data it was trained on, or leave data out"
        )
    if ours != theirs or network.card.scans != source.reading():
        raise ValueError(
            f"{name}: classes (in their order), features, voxel and block must be those that "
            f"{network.name} was trained with; use the card of its training"
        )
    return opened


def _statistics(
    network: TrainedNetwork, config: DataConfig, split: str, num_workers: int, track: Track
) -> tuple[ClassStatistics, str]:
    """Class frequencies in training, and where they come from."""
    if network.statistics is not None:
        return network.statistics, "as the run counted them in its training split"
    try:
        counted, origin = open_split(config, "train"), "counted in the train split"
    except DataError:
        counted = open_split(config, split)
        origin = f"counted in the {split} split, as there is no train split"
    counts = count_data(
        counted,
        num_workers=num_workers,
        context=False,
        track=track,
    )
    return counts.statistics, origin
