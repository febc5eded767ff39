"""What every loss keeps, whatever it computes. A new loss adds one line to CASES.

A loss is called as `loss(features, labels)` or `loss(logits, labels)`. Tensors of its state that
run over the classes end in shape letters (`frame_KD`): so the suite knows what to permute.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from equiseg.losses import CenterCollapseLoss, CrossEntropyLoss
from reference.slow_center_collapse import center_collapse, published
from reference.slow_cross_entropy import cross_entropy

K, C = 5, 7


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[int], nn.Module]  # from an ignore value
    reference: Callable[[dict, Tensor, Tensor], float]  # from state dict, (B, C, h, w), (B, H, W)
    channels: int = C  # K for a loss over logits: its channels are classes


PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)
CASES = [
    Case(
        "cross_entropy",
        lambda ignore: CrossEntropyLoss(K, ignore_index=ignore),
        lambda _, *batch: cross_entropy(*batch),
        K,
    ),
    Case(
        "center_collapse",
        lambda ignore: CenterCollapseLoss(K, C, ignore_index=ignore),
        center_collapse,
    ),
    Case(
        "center_collapse_learnable",
        lambda ignore: CenterCollapseLoss(
            K, C, projection="learnable", dim=9, prior=PRIOR, ignore_index=ignore
        ),
        lambda *batch: center_collapse(*batch, prior=PRIOR),
    ),
    Case(
        "center_collapse_published",
        lambda ignore: CenterCollapseLoss.published(
            K, C, PRIOR, weight=0.8, ignore_index=ignore
        ).eval(),
        lambda *batch: published(*batch, prior=PRIOR, weight=0.8, training=False),
    ),
]
SIZES = {"points": ((), ()), "map": ((3, 4), (3, 4)), "larger labels": ((3, 4), (7, 8))}
every_loss = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_size = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
both_halves = pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)


def batch(case: Case, sizes=SIZES["larger labels"], dtype=torch.float32):
    """Inputs that need a gradient, and labels without class 3 and with some ignored."""
    generator = torch.Generator().manual_seed(0)
    images = 40 if sizes == SIZES["points"] else 2
    inputs = torch.randn(images, case.channels, *sizes[0], generator=generator, dtype=dtype)
    labels = torch.randint(0, K, (images, *sizes[1]), generator=generator)
    return inputs.requires_grad_(), torch.where(labels == 3, 255, labels)


def value_and_gradient(loss, inputs, labels):
    value = loss(inputs, labels)
    return value.detach(), torch.autograd.grad(value, inputs)[0]


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_equals_its_float64_reference(case, dtype):
    loss = case.build(255)
    inputs, labels = batch(case, dtype=dtype)
    value = loss(inputs, labels)
    assert value.shape == ()
    assert value.dtype == dtype
    expected = case.reference(loss.state_dict(), inputs, labels)
    assert expected > 0
    assert value.item() == pytest.approx(expected, rel=1e-5 if dtype == torch.float32 else 1e-7)


@every_loss
@every_size
def test_gradcheck(case, sizes):
    loss = case.build(255).double()
    inputs, labels = batch(case, sizes, torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), inputs)


@every_loss
@every_size
@both_halves
def test_half_precision_and_autocast(case, sizes, half):
    loss = case.build(255)
    inputs, labels = batch(case, sizes)
    rounded = inputs.detach().to(half)
    expected = loss(rounded.float(), labels)
    assert expected.dtype == torch.float32
    with torch.autocast("cpu", dtype=half):
        for given in (rounded, rounded.float()):
            torch.testing.assert_close(loss(given, labels), expected)
    torch.testing.assert_close(loss(rounded, labels), expected)


@every_loss
@pytest.mark.parametrize("sizes", [SIZES["map"], SIZES["larger labels"]])
def test_a_2d_map_is_a_flat_3d_map(case, sizes):
    loss = case.build(255)
    inputs, labels = batch(case, sizes)
    value, gradient = value_and_gradient(loss, inputs, labels)
    flat_value, flat_gradient = value_and_gradient(loss, inputs.unsqueeze(2), labels.unsqueeze(1))
    torch.testing.assert_close((flat_value, flat_gradient.squeeze(2)), (value, gradient))


@every_loss
def test_a_map_is_a_list_of_points(case):
    loss = case.build(255)
    inputs, labels = batch(case, SIZES["map"])
    points = inputs.movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(loss(points, labels.flatten()), loss(inputs, labels))


@every_loss
@pytest.mark.parametrize("sizes", [SIZES["points"], SIZES["map"]], ids=["points", "map"])
def test_ignored_places_do_not_count(case, sizes):
    loss = case.build(255)
    inputs, labels = batch(case, sizes)
    ignored = (labels == 255).unsqueeze(1)
    assert ignored.any()
    value, gradient = value_and_gradient(loss, inputs, labels)
    assert not (gradient * ignored).any()
    torch.testing.assert_close(loss(inputs + 100 * ignored, labels), value, atol=0, rtol=0)
    renamed = torch.where(labels == 255, -1, labels)
    torch.testing.assert_close(case.build(-1)(inputs, renamed), value, atol=0, rtol=0)


@every_loss
@every_size
def test_one_class_alone_is_finite(case, sizes):
    inputs, labels = batch(case, sizes)
    value, gradient = value_and_gradient(case.build(255), inputs, labels.fill_(2))
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert gradient.any()


@every_loss
@every_size
@pytest.mark.parametrize("images", [2, 0])
def test_nothing_valid_is_a_zero_with_a_zero_gradient(case, sizes, images):
    loss = case.build(255)
    inputs, labels = batch(case, sizes)
    value = loss(inputs[:images], labels[:images].fill_(255))
    assert value.item() == 0
    value.backward()
    for tensor in (inputs, *loss.parameters()):
        assert not tensor.grad.any()  # NaN would be any, too


@every_loss
@every_size
def test_renaming_the_classes_changes_nothing(case, sizes):
    loss, renamed_loss = case.build(255), case.build(255)
    order = torch.tensor([2, 4, 3, 0, 1])  # the new name of each class
    state = {name: renamed(name, tensor, order) for name, tensor in loss.state_dict().items()}
    renamed_loss.load_state_dict(state)
    inputs, labels = batch(case, sizes)
    renamed_labels = torch.where(labels < K, order[labels.clamp(max=K - 1)], labels)
    renamed_inputs = inputs[:, order.argsort()] if case.channels == K else inputs
    torch.testing.assert_close(renamed_loss(renamed_inputs, renamed_labels), loss(inputs, labels))


def renamed(name, tensor, order):
    letters = name.rpartition("_")[2]
    for axis, letter in enumerate(letters if letters.isupper() else ""):
        if letter == "K":
            tensor = tensor.index_select(axis, order.argsort())
    return tensor


@every_loss
@every_size
def test_compiles_whole_forward_and_backward(case, sizes):
    torch.compiler.reset()
    loss = case.build(255)
    inputs, labels = batch(case, sizes)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    expected = value_and_gradient(loss, inputs, labels)
    torch.testing.assert_close(value_and_gradient(compiled, inputs, labels), expected)
    # Compiled code cannot look at values: a label out of range counts as ignored.
    wrong = torch.where(labels == 255, K, labels)
    torch.testing.assert_close(value_and_gradient(compiled, inputs, wrong), expected)


@every_loss
def test_the_state_dict_is_the_whole_state(case):
    loss, other = case.build(255), case.build(255)
    for tensor in other.state_dict().values():
        tensor.normal_(generator=torch.Generator().manual_seed(1))
    saved = io.BytesIO()
    torch.save(loss.state_dict(), saved)
    saved.seek(0)
    other.load_state_dict(torch.load(saved))
    inputs, labels = batch(case)
    torch.testing.assert_close(other(inputs, labels), loss(inputs, labels), atol=0, rtol=0)


@every_loss
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.bfloat16, 0.05)], ids=str
)
def test_a_module_of_another_dtype(case, dtype, tolerance):
    inputs, labels = batch(case)
    loss = case.build(255)
    expected = value_and_gradient(loss, inputs, labels)
    value, gradient = value_and_gradient(loss.to(dtype), inputs, labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close((value, gradient), expected, rtol=tolerance, atol=tolerance)


@every_loss
@every_size
def test_labels_out_of_range_raise(case, sizes):
    inputs, labels = batch(case, sizes)
    labels.view(-1)[0] = K
    with pytest.raises(ValueError, match=rf"labels must be .* 0\.\.{K - 1} .*got {K} in 1 of"):
        case.build(255)(inputs, labels)


@every_loss
def test_inputs_that_cannot_work_raise(case):
    loss = case.build(255)
    inputs, labels = batch(case)
    with pytest.raises(TypeError, match=r"labels must be integer .* torch\.float32"):
        loss(inputs, labels.float())
    with pytest.raises(ValueError, match=r"labels \(2, 8\) under features \(3, 4\)"):
        loss(inputs, labels[:, :2])
    with pytest.raises(ValueError, match=r"labels\.squeeze\(1\)"):
        loss(inputs, labels.unsqueeze(1))
    with pytest.raises(ValueError, match=f"ignore_index .* got {K - 1}"):
        case.build(K - 1)


@every_loss
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_voxels_under_labelled_points_equal_their_copies(case, compiled):
    inputs, labels = batch(case, SIZES["points"], torch.float64)
    inverse = torch.randint(0, 12, (len(labels),), generator=torch.Generator().manual_seed(1))
    voxels = inputs[:12].detach().requires_grad_()
    loss = case.build(255)
    expected = value_and_gradient(loss, voxels[inverse], labels)[0]
    (expected_gradient,) = torch.autograd.grad(loss(voxels[inverse], labels), voxels)
    if compiled:
        loss = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value = loss(voxels, labels, inverse=inverse)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, voxels)[0], expected_gradient)


@every_loss
def test_a_point_in_no_voxel_is_named(case):
    inputs, labels = batch(case, SIZES["points"])
    with pytest.raises(ValueError, match=r"inverse must hold rows 0\.\.11 .* got -1\.\.11"):
        case.build(255)(inputs[:12], labels, inverse=torch.arange(len(labels)) % 13 - 1)
    with pytest.raises(ValueError, match=r"inverse \(39,\); give each label the row"):
        case.build(255)(inputs[:12], labels, inverse=torch.zeros(39, dtype=torch.int64))
