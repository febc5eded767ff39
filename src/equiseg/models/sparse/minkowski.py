"""Loading published MinkowskiEngine checkpoints into our networks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from equiseg.models.sparse.minkunet import MinkUNet

_STEM = "conv0p1s1.kernel"


def load_minkowski(
    model: MinkUNet, state_dict: Mapping[str, Tensor], *, classifier: bool = True
) -> None:
    """Load the state dict of a MinkUNet or Res16UNet of MinkowskiEngine (0.4 or 0.5).

    ===============================  =====================================================
    theirs                           ours
    ===============================  =====================================================
    ``conv0p1s1``, ``bn0.bn``        ``encoder.stem.conv``, ``.norm.bn``
    ``conv1p1s2``, ``bn1.bn``        ``encoder.stages.0.conv``, ``.norm.bn``; to ``conv4p8s2``
    ``block1``                       ``encoder.stages.0.blocks``; to ``block4``
    ``convtr4p16s2``, ``bntr4.bn``   ``decoder.0.conv``, ``.norm.bn``; to ``convtr7p2s2``
    ``block5``                       ``decoder.0.blocks``; to ``block8``
    ``block1.0.downsample``          ``encoder.stages.0.blocks.0.shortcut``
    ``final``                        ``classifier``
    ``*.kernel``                     ``*.weight``
    ===============================  =====================================================

    Kernels are (V, C_in, C_out) in both, and for a 1x1x1 convolution (C_in, C_out) or (1, C_in,
    C_out). Both number the offsets with the first axis (x) fastest: their ``kernel_region`` counts
    axis 0 up first, from the lower end of an odd kernel and from 0 for an even one, and a
    transposed convolution uses the pairs of the strided one in reverse. A common prefix of all
    names ("module.", "model.") is dropped.

    The function follows the published code and is tested on synthetic state dicts of this layout;
    no real checkpoint was available. Read the file with ``torch.load(file, weights_only=True)`` and
    pass the entry with the weights (often "state_dict").

    Args:
        model: The network to load into.
        state_dict: The state dict of the MinkowskiEngine network.
        classifier: Whether to load ``final`` too; False keeps the model's classifier, for other
            classes.

    Raises:
        ValueError: If names are missing or unexpected or shapes do not fit; all are listed, and the
            model is not changed.
    """
    stems = [name for name in state_dict if name.endswith(_STEM)]
    prefix = stems[0].removesuffix(_STEM) if len(stems) == 1 else ""
    given = {name.removeprefix(prefix): value for name, value in state_dict.items()}
    if not classifier:
        given = {name: value for name, value in given.items() if not name.startswith("final.")}
    wanted = {
        _their_name(name): (name, value)
        for name, value in model.state_dict().items()
        if not name.startswith("standardize.")
        and (classifier or not name.startswith("classifier."))
    }
    problems = [f"missing {name}" for name in wanted.keys() - given.keys()]
    problems += [f"unexpected {name}" for name in given.keys() - wanted.keys()]
    loaded = {}
    for theirs in wanted.keys() & given.keys():
        ours, own = wanted[theirs]
        value = _in_our_form(theirs, given[theirs], own)
        if value.shape != own.shape:
            shapes = f"{tuple(given[theirs].shape)} for {tuple(own.shape)}"
            problems.append(f"misshapen {theirs}: {shapes} of {ours}")
        loaded[ours] = value
    if problems:
        raise ValueError(
            f"state_dict does not fit {type(model).__name__} with {model.configuration}; choose "
            "the network, in_channels and num_classes it was made with, or classifier=False for "
            "other classes:\n  " + "\n  ".join(sorted(problems))
        )
    with torch.no_grad():
        model.load_state_dict(loaded, strict=False)  # missing names were checked above


def _in_our_form(theirs: str, value: Tensor, own: Tensor) -> Tensor:
    """An entry of their state dict in the shape of ours, if the number of axes differs."""
    if theirs == "final.kernel":  # (C, K) or (1, C, K)
        return value.reshape(value.shape[-2:]).T
    if theirs == "final.bias":  # (1, K)
        return value.flatten()
    if own.ndim == 3 and len(own) == 1 and value.ndim == 2:
        return value.unsqueeze(0)
    return value


def _their_name(name: str) -> str:
    """MinkowskiEngine's name of one of our entries."""
    parts = name.split(".")
    if parts[0] == "classifier":
        return "final.kernel" if parts[1] == "weight" else "final.bias"
    if parts[:2] == ["encoder", "stem"]:
        conv, norm, blocks, rest = "conv0p1s1", "bn0", "", parts[2:]
    elif parts[0] == "encoder":  # encoder.stages.i
        i = int(parts[2])
        conv, norm, blocks = f"conv{i + 1}p{2**i}s2", f"bn{i + 1}", f"block{i + 1}"
        rest = parts[3:]
    else:  # decoder.i
        i = int(parts[1])
        conv, norm, blocks = f"convtr{i + 4}p{16 >> i}s2", f"bntr{i + 4}", f"block{i + 5}"
        rest = parts[2:]
    rest[0] = {"conv": conv, "norm": norm, "blocks": blocks}[rest[0]]
    if "bn" not in rest:
        rest[-1] = "kernel"
    return ".".join(rest).replace(".shortcut.", ".downsample.")
