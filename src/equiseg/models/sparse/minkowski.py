"""Loading published MinkowskiEngine checkpoints into our networks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from equiseg.models.sparse.minkunet import MinkUNet

_STEM = "conv0p1s1.kernel"
_THEIRS = re.compile(r"(conv|bn|block|convtr|bntr)\d|final\.")
_ENGINES = ("0.4", "0.5")
_MOST_NAMED = 5


def load_minkowski(
    model: MinkUNet,
    state_dict: Mapping[str, Tensor],
    *,
    engine: str | None = None,
    classifier: bool = True,
    prefix: str | None = None,
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
    C_out). The offsets are numbered with the first axis (x) fastest, from the lower end of an odd
    kernel and from 0 for an even one, and a transposed convolution uses the pairs of the strided
    one in reverse. In code for MinkowskiEngine 0.4 (SpatioTemporalSegmentation and what derives
    from it, such as PointContrast and CSC) the 3x3x3 kernels of the blocks are of type HYBRID,
    whose offsets start with the center: (0,0,0), (-1,0,0), (1,0,0), (0,-1,0), ... No file says
    which one it has, and the wrong one moves 26 of 27 weights, so you must.

    The function follows the published code and is tested on synthetic state dicts of both layouts;
    no real checkpoint was available. Read the file with ``torch.load(file, weights_only=True)`` and
    pass the entry with the weights (often "state_dict"). Compare the scores with the published
    ones before you build on them.

    Args:
        model: The network to load into.
        state_dict: The state dict of the MinkowskiEngine network.
        engine: "0.4" or "0.5": the version of MinkowskiEngine that the network was trained with.
        classifier: Whether to load ``final`` too; False keeps the model's classifier, for other
            classes.
        prefix: The start of the names of the network ("module.", "model."); None finds it.
            Entries without it are left out, and a warning names them.

    Raises:
        ValueError: If ``engine`` is missing or unknown, there are several networks or none with
            that prefix, or names are missing or unexpected or shapes do not fit; all are listed,
            and the model is not changed.
    """
    if engine not in _ENGINES:
        raise ValueError(
            f"engine must be '0.4' or '0.5', got {engine!r}: the version of MinkowskiEngine that "
            "the checkpoint was trained with. Code derived from SpatioTemporalSegmentation "
            "(PointContrast, CSC) is '0.4'; the authors of ScanNet200 use '0.5'"
        )
    given = _of_network(state_dict, prefix)
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
        of_27 = theirs.endswith(".kernel") and len(value) == len(_FROM_HYBRID)
        if engine == "0.4" and theirs.startswith("block") and of_27:
            value = value[_FROM_HYBRID]
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


def _of_network(state_dict: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """The entries of the one network, without their prefix; a warning names the others."""
    stems = [name for name in state_dict if name == _STEM or name.endswith(f".{_STEM}")]
    prefixes = [stem.removesuffix(_STEM) for stem in stems]
    found = ", ".join(map(repr, prefixes)) or "none"
    if prefix is not None and prefix not in prefixes:
        raise ValueError(f"prefix must be one of those in the state_dict, {found}, got {prefix!r}")
    if prefix is None and len(prefixes) > 1:
        raise ValueError(f"state_dict holds several networks, with the prefixes {found}; name one")
    prefix = prefix if prefix is not None else (prefixes or [""])[0]
    own = {n: value for n, value in state_dict.items() if n.startswith(prefix)}
    own = {name.removeprefix(prefix): value for name, value in own.items()}
    own = {name: value for name, value in own.items() if _THEIRS.match(name)}
    others = [name for name in state_dict if name.removeprefix(prefix) not in own]
    if others:
        more = ", ..." if len(others) > _MOST_NAMED else ""
        warnings.warn(
            f"left out {len(others)} entries that are not of the network {prefix!r}: "
            f"{', '.join(others[:_MOST_NAMED])}{more}",
            stacklevel=3,
        )
    return own


def _hybrid_offsets(dimensions: int = 3) -> list[tuple[int, ...]]:
    """Offsets of a kernel of side 3 in the order of region type HYBRID of MinkowskiEngine 0.4.

    From the center, each axis adds the offsets so far, moved down and up.
    """
    offsets: list[tuple[int, ...]] = [(0,) * dimensions]
    for axis in range(dimensions):
        offsets += [(*o[:axis], step, *o[axis + 1 :]) for o in offsets for step in (-1, 1)]
    return offsets


# For each of our offsets (x fastest, ascending), its place in the order of HYBRID.
_FROM_HYBRID = [
    _hybrid_offsets().index((x, y, z)) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)
]


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
