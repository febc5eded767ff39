"""Losses over the overlap of regions."""

from equiseg.losses.dice import DiceLoss
from equiseg.losses.lovasz import LovaszLoss
from equiseg.losses.tversky import TverskyLoss
from equiseg.testing import NUM_CLASSES as K
from equiseg.testing import LossCase
from reference.slow_dice import dice
from reference.slow_lovasz import lovasz
from reference.slow_tversky import tversky

CASES = [
    LossCase(
        "dice", lambda ignore: DiceLoss(K, ignore_index=ignore), lambda _, *batch: dice(*batch)
    ),
    LossCase(
        "tversky",
        lambda ignore: TverskyLoss(K, ignore_index=ignore),
        lambda _, *batch: tversky(*batch),
    ),
    LossCase(
        "lovasz",
        lambda ignore: LovaszLoss(K, ignore_index=ignore),
        lambda _, *batch: lovasz(*batch),
    ),
]
