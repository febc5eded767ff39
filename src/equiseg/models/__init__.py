"""Networks by name: the small FPN, transformers architectures, SMP models."""

from equiseg.models.build import build_model, model_names
from equiseg.models.fpn import FPN, SmallEncoder

__all__ = ["FPN", "SmallEncoder", "build_model", "model_names"]
