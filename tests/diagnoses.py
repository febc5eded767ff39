"""Small data and a network that was never trained, for what looks into networks."""

import json
from typing import Any

import torch
from torch import Tensor, nn

from equiseg.data.sample import Sample
from equiseg.diagnosis.measure_network import Passes, diagnose
from equiseg.diagnosis.result import Diagnosis, record
from equiseg.imbalance import ClassStatistics, FrequencyGroups
from equiseg.records.diagnosis import DiagnosisRecord


class Stripes:
    """Images of noise in the colours of their classes, the last class in none of them."""

    ignore_index = 255
    background = None

    def __init__(self, num_classes: int = 7, sizes: tuple[tuple[int, int], ...] = ((24, 32),) * 6):
        generator = torch.Generator().manual_seed(3)
        self.classes = tuple(f"class {k}" for k in range(num_classes))
        palette_K3 = torch.randint(0, 200, (num_classes, 3), generator=generator)
        self.samples = []
        for number, size in enumerate(sizes):
            # Squared, so that classes with small ids are frequent.
            chance = torch.rand(size, generator=generator).square()
            labels = (chance * (num_classes - 1)).long()
            noise = torch.randint(0, 56, (3, *size), generator=generator)
            image = (palette_K3[labels].permute(2, 0, 1) + noise).to(torch.uint8)
            labels[:2] = self.ignore_index
            self.samples.append(Sample(image, labels.to(torch.uint8), f"image {number}"))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    @property
    def statistics(self) -> ClassStatistics:
        labels = (sample.labels for sample in self.samples)
        return ClassStatistics.from_labels(labels, len(self.classes))


class TinyNetwork(nn.Module):
    """Features at half the size of the image, and a classifier of their pixels."""

    def __init__(self, num_classes: int = 7, dim: int = 8, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.Conv2d(3, dim, 3, stride=2, padding=1)
        self.head = nn.Conv2d(dim, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(images).relu())
        return logits


def tiny_diagnosis(seed: int = 0, data: Any = None, **options: Any) -> Diagnosis:
    data = data or Stripes()
    counts_K = data.statistics.pixels_K
    return diagnose(
        TinyNetwork(len(data.classes), seed=seed),
        data,
        groups=FrequencyGroups.from_counts(counts_K),
        class_counts_K=counts_K,
        passes=Passes(**options),
    )


def tiny_record(seed: int = 0, data: Any = None, **options: Any) -> DiagnosisRecord:
    """The same as a page reads it: through JSON."""
    values = record(tiny_diagnosis(seed, data, **options))
    return DiagnosisRecord.of(json.loads(json.dumps(values, allow_nan=False)))
