"""Networks by name: the small FPN, transformers architectures, SMP models."""

from equiseg.models.build import build_model, model_names, rebuild_model
from equiseg.models.fpn import FPN, SmallEncoder
from equiseg.models.freezing import freeze_encoder

__all__ = ["FPN", "SmallEncoder", "build_model", "freeze_encoder", "model_names", "rebuild_model"]
