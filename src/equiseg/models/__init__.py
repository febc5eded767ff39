"""Networks by name: the small FPN, transformers architectures, SMP models, sparse networks."""

from equiseg.models.build import SPARSE_MODELS, build_model, model_names, rebuild_model
from equiseg.models.fpn import FPN, SmallEncoder
from equiseg.models.freezing import freeze_encoder

__all__ = [
    "FPN",
    "SPARSE_MODELS",
    "SmallEncoder",
    "build_model",
    "freeze_encoder",
    "model_names",
    "rebuild_model",
]
