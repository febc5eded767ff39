"""FixedBuffers: tensors that the arguments of a loss determine, outside of its state dict."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class FixedBuffers(nn.Module):
    """A module with buffers that its arguments determine: frames, priors, frozen maps.

    They move with the module, but are not saved: a loss can be added to a network, or taken from
    it, and strict loading still works. Older state dicts hold them; they are taken from there.
    """

    def register_fixed(self, name: str, values: Tensor | None) -> None:
        """Register a buffer that the arguments of the module determine."""
        self.register_buffer(name, values, persistent=False)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in self._non_persistent_buffers_set:
            own, saved = getattr(self, name), state_dict.pop(prefix + name, None)
            if own is None or saved is None:
                continue
            if own.shape != saved.shape:
                errors: list[str] = args[4]
                errors.append(
                    f"{prefix}{name} has shape {tuple(saved.shape)} in the state dict and "
                    f"{tuple(own.shape)} here; make the loss with the same arguments"
                )
                continue
            with torch.no_grad():
                own.copy_(saved)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def fixed_buffers_of(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """All buffers in a module that its state dict leaves out, by name.

    A state dict with them loads as well. Save them where a run may continue on another machine, on
    which a frame that is found numerically can come out otherwise.
    """
    saved = module.state_dict()
    return {prefix + n: t.detach() for n, t in module.named_buffers() if n not in saved}
