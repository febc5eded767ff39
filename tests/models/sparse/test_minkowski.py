"""Synthetic checkpoints in MinkowskiEngine's layout; no real one was available."""

import pytest
import torch

from equiseg.models import rebuild_model
from equiseg.models.sparse import (
    MinkUNet14A,
    MinkUNet18A,
    MinkUNet34A,
    MinkUNet34C,
    MinkUNetSmall,
    SparseTensor,
    load_minkowski,
    minkowski,
)

IN, K = 3, 20
# PLANES and LAYERS of models/res16unet.py in chrischoy/SpatioTemporalSegmentation.
PUBLISHED = {
    MinkUNet14A: ((32, 64, 128, 256, 128, 128, 96, 96), (1, 1, 1, 1, 1, 1, 1, 1)),
    MinkUNet18A: ((32, 64, 128, 256, 128, 128, 96, 96), (2, 2, 2, 2, 2, 2, 2, 2)),
    MinkUNet34A: ((32, 64, 128, 256, 256, 128, 64, 64), (2, 3, 4, 6, 2, 2, 2, 2)),
    MinkUNet34C: ((32, 64, 128, 256, 256, 128, 96, 96), (2, 3, 4, 6, 2, 2, 2, 2)),
}


def res16unet(network=MinkUNet34C, one_by_one=(), final=(1,), stem=5):
    """Names and shapes as the published network makes them, each value its own."""
    generator = torch.Generator().manual_seed(0)
    PLANES, LAYERS = PUBLISHED[network]
    entries = {}

    def kernel(name, *shape):
        entries[f"{name}.kernel"] = torch.randn(shape, generator=generator) / 20

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            entries[f"{name}.bn.{part}"] = torch.rand(channels, generator=generator) + 0.5
        entries[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)

    def block(name, inplanes, planes, number):
        for i in range(number):
            kernel(f"{name}.{i}.conv1", 27, inplanes, planes)
            norm(f"{name}.{i}.norm1", planes)
            kernel(f"{name}.{i}.conv2", 27, planes, planes)
            norm(f"{name}.{i}.norm2", planes)
            if inplanes != planes:
                kernel(f"{name}.{i}.downsample.0", *one_by_one, inplanes, planes)
                norm(f"{name}.{i}.downsample.1", planes)
            inplanes = planes

    kernel("conv0p1s1", stem**3, IN, 32)
    norm("bn0", 32)
    inplanes = 32
    for i, name in enumerate(("conv1p1s2", "conv2p2s2", "conv3p4s2", "conv4p8s2")):
        kernel(name, 8, inplanes, inplanes)
        norm(f"bn{i + 1}", inplanes)
        block(f"block{i + 1}", inplanes, PLANES[i], LAYERS[i])
        inplanes = PLANES[i]
    skips = (PLANES[2], PLANES[1], PLANES[0], 32)
    for i, name in enumerate(("convtr4p16s2", "convtr5p8s2", "convtr6p4s2", "convtr7p2s2")):
        planes = PLANES[4 + i]
        kernel(name, 8, inplanes, planes)
        norm(f"bntr{4 + i}", planes)
        block(f"block{5 + i}", planes + skips[i], planes, LAYERS[4 + i])
        inplanes = planes
    kernel("final", *final, inplanes, K)
    entries["final.bias"] = torch.randn(1, K, generator=generator)
    return entries


def reference_offsets(size):
    """MinkowskiEngine's kernel region: from the lower end, axis 0 counted up first."""
    low = -(size // 2) if size % 2 else 0
    steps = range(low, low + size)
    return [(x, y, z) for z in steps for y in steps for x in steps]


def hybrid_offsets(size):
    """The loop of region type HYBRID in MinkowskiEngine 0.4, axis by axis from the center."""
    offsets = [[0, 0, 0]]
    for axis in range(3):
        new = []
        for offset in offsets:
            for step in range(size):
                if step == size // 2:
                    continue
                moved = list(offset)
                moved[axis] = step - size // 2
                new.append(moved)
        offsets.extend(new)
    return offsets


def reference_pairs(sources, targets, size, stride, hybrid=False):
    """By dictionary: rows of (source, target) under each offset."""
    row = {tuple(place): i for i, place in enumerate(sources.tolist())}
    for offset in hybrid_offsets(size) if hybrid else reference_offsets(size):
        moved = [
            (b, *(c + stride * o for c, o in zip(place, offset, strict=True)))
            for b, *place in targets.tolist()
        ]
        yield [(row[m], i) for i, m in enumerate(moved) if m in row]


def reference_forward(entries, coordinates, features, engine="0.5", stem=5):
    """The published network, one offset and one row at a time, in eval mode."""
    sets = {1: coordinates}
    for stride in (2, 4, 8, 16):
        cells = coordinates.clone()
        cells[:, 1:] = cells[:, 1:] // stride * stride
        sets[stride] = torch.unique(cells, dim=0)

    def conv(name, x, size, source, target, transposed=False):
        kernel = entries[f"{name}.kernel"].double()
        out = x.new_zeros(len(sets[target]), kernel.shape[-1])
        coarse, fine = (source, target) if transposed else (target, source)
        hybrid = engine == "0.4" and name.startswith("block") and size == 3
        pairs = reference_pairs(sets[fine], sets[coarse], size, fine, hybrid)
        for weight, some in zip(kernel.view(-1, *kernel.shape[-2:]), pairs, strict=True):
            for fine_row, coarse_row in some:
                a, b = (coarse_row, fine_row) if transposed else (fine_row, coarse_row)
                out[b] += x[a] @ weight
        return out

    def norm(name, x):
        weight, bias, mean, var = (
            entries[f"{name}.bn.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def block(name, x, stride):
        i = 0
        while f"{name}.{i}.conv1.kernel" in entries:
            y = norm(f"{name}.{i}.norm1", conv(f"{name}.{i}.conv1", x, 3, stride, stride)).relu()
            y = norm(f"{name}.{i}.norm2", conv(f"{name}.{i}.conv2", y, 3, stride, stride))
            if f"{name}.{i}.downsample.0.kernel" in entries:
                shortcut = conv(f"{name}.{i}.downsample.0", x, 1, stride, stride)
                x = norm(f"{name}.{i}.downsample.1", shortcut)
            x, i = (x + y).relu(), i + 1
        return x

    x = norm("bn0", conv("conv0p1s1", features.double(), stem, 1, 1)).relu()
    skips = [x]
    for i, p in enumerate((1, 2, 4, 8)):
        x = norm(f"bn{i + 1}", conv(f"conv{i + 1}p{p}s2", x, 2, p, 2 * p)).relu()
        x = block(f"block{i + 1}", x, 2 * p)
        skips.append(x)
    skips.pop()
    for i, p in enumerate((16, 8, 4, 2), start=4):
        x = conv(f"convtr{i}p{p}s2", x, 2, p, p // 2, transposed=True)
        x = norm(f"bntr{i}", x).relu()
        x = block(f"block{i + 1}", torch.cat((x, skips.pop()), 1), p // 2)
    return x @ entries["final.kernel"].double().view(96, K) + entries["final.bias"].double()


@pytest.fixture(scope="module")
def places():
    generator = torch.Generator().manual_seed(0)
    occupied = torch.rand(2, 7, 5, 6, generator=generator) < 0.15
    return occupied.nonzero() - torch.tensor([0, 3, 2, 4])


@pytest.mark.parametrize("engine", ["0.4", "0.5"])
def test_loaded_weights_give_the_outputs_of_the_published_network(places, engine):
    """Weights differ by offset, so a wrong order of offsets or channels changes the result."""
    stem = 3 if engine == "0.4" else 5
    entries = res16unet(MinkUNet14A, stem=stem)
    model = MinkUNet14A(IN, K, stem_kernel=stem).eval().double()
    load_minkowski(model, entries, engine=engine)
    features = torch.randn(len(places), IN, dtype=torch.float64)
    with torch.no_grad():
        seen = model(SparseTensor(places, features))
        expected = reference_forward(entries, places, features, engine, stem)
        load_minkowski(model, entries, engine="0.5" if engine == "0.4" else "0.4")
        other = model(SparseTensor(places, features))
    torch.testing.assert_close(seen, expected)
    assert expected.std() > 1e-3 and (other - expected).abs().max() > 1e-3


def test_the_engine_must_be_given():
    for engine in (None, "0.6", 0.5):
        with pytest.raises(ValueError, match=r"engine must be '0.4' or '0.5', got .*ScanNet200"):
            load_minkowski(MinkUNet34C(IN, K), res16unet(), engine=engine)


def test_the_order_of_the_older_engine():
    offsets = hybrid_offsets(3)
    assert offsets[:5] == [[0, 0, 0], [-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]]
    kernel = torch.arange(27.0)[minkowski._FROM_HYBRID]
    for place, offset in enumerate(reference_offsets(3)):
        assert kernel[place] == offsets.index(list(offset))


def test_entries_outside_the_network_are_named_and_left_out():
    entries, model = res16unet(), MinkUNet34C(IN, K)
    foreign = {"criterion.weight": torch.ones(K), "module.head.weight": torch.ones(1)}
    with pytest.warns(
        UserWarning, match=r"left out 2 .* 'module\.': criterion.weight, module.head"
    ):
        load_minkowski(
            model, {f"module.{n}": v for n, v in entries.items()} | foreign, engine="0.5"
        )
    assert torch.equal(model.encoder.stem.conv.weight, entries["conv0p1s1.kernel"])


def test_the_prefix_of_one_of_several_networks():
    entries, model = res16unet(), MinkUNet34C(IN, K)
    both = {
        f"{p}.{n}": v + (p == "teacher") for p in ("student", "teacher") for n, v in entries.items()
    }
    with pytest.raises(ValueError, match=r"several networks, .*'student\.', 'teacher\.'; name one"):
        load_minkowski(model, both, engine="0.5")
    with pytest.raises(ValueError, match=r"prefix must be one of .*, got 'net\.'"):
        load_minkowski(model, both, engine="0.5", prefix="net.")
    with pytest.warns(UserWarning, match="left out"):
        load_minkowski(model, both, engine="0.5", prefix="teacher.")
    assert torch.equal(model.encoder.stem.conv.weight, entries["conv0p1s1.kernel"] + 1)


def test_a_stem_of_another_size_is_built_again():
    model = MinkUNet34C(IN, K, stem_kernel=3)
    assert model.configuration == {"in_channels": IN, "stem_kernel": 3}
    again = rebuild_model("minkunet-34c", K, model.configuration)
    again.load_state_dict(model.state_dict())
    assert MinkUNet34C(IN, K, stem_kernel=5).configuration == {"in_channels": IN}
    with pytest.raises(ValueError, match="stem_kernel must be odd, such as 3 or 5, got 4"):
        MinkUNet34C(IN, K, stem_kernel=4)


@pytest.mark.parametrize("network", PUBLISHED)
def test_every_published_layout(network):
    """Entry by entry, so also in number of parameters."""
    entries, model = res16unet(network), network(IN, K)
    load_minkowski(model, entries, engine="0.5")
    learned = sum(v.numel() for n, v in entries.items() if "running" not in n and "num_" not in n)
    assert sum(p.numel() for p in model.parameters()) == learned


@pytest.mark.parametrize(
    ("options", "prefix"),
    [({"one_by_one": (1,)}, ""), ({"final": ()}, "module."), ({}, "model.net.")],
)
def test_forms_of_the_same_checkpoint(options, prefix):
    entries = res16unet(**options)
    model = MinkUNet34C(IN, K)
    load_minkowski(model, {prefix + name: value for name, value in entries.items()}, engine="0.5")
    blocks = model.encoder.stages[1].blocks
    for ours, theirs in [
        (model.classifier.weight, entries["final.kernel"].view(96, K).T),
        (model.classifier.bias, entries["final.bias"].view(K)),
        (blocks[0].shortcut[0].weight[0], entries["block2.0.downsample.0.kernel"].view(32, 64)),
        (blocks[0].shortcut[1].bn.running_var, entries["block2.0.downsample.1.bn.running_var"]),
        (model.decoder[3].conv.weight, entries["convtr7p2s2.kernel"]),
    ]:
        assert torch.equal(ours, theirs)


def test_for_other_classes():
    model = MinkUNet34C(IN, 200)
    before = model.classifier.weight.clone()
    load_minkowski(model, res16unet(), engine="0.5", classifier=False)
    assert torch.equal(model.classifier.weight, before)
    assert torch.equal(model.encoder.stem.conv.weight, res16unet()["conv0p1s1.kernel"])


def test_all_mismatches_are_listed_and_nothing_is_loaded():
    entries, model = res16unet(), MinkUNet34C(IN, K)
    del entries["bn3.bn.weight"]
    entries["block9.0.conv1.kernel"] = torch.zeros(1)
    entries["conv0p1s1.kernel"] = torch.zeros(125, 6, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="does not fit MinkUNet34C") as error:
        load_minkowski(model, entries, engine="0.5")
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    assert lines == [
        "misshapen conv0p1s1.kernel: (125, 6, 32) for (125, 3, 32) of encoder.stem.conv.weight",
        "missing bn3.bn.weight",
        "unexpected block9.0.conv1.kernel",
    ]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"MinkUNetSmall with \{'in_channels': 3\}"):
        load_minkowski(MinkUNetSmall(IN, K), res16unet(), engine="0.5")
