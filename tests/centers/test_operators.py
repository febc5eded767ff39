"""The operators that torch.compile calls as they are."""

import pytest
import torch

from equiseg.centers import class_centers, operators
from equiseg.centers.label_sides import label_side, voxel_side
from equiseg.labels import fold_ignored
from maps import SIZES, K, batch, every_kind_and_preparation

MAPS = SIZES["2d other ratio"]


def entries(size=MAPS, dtype=torch.float32):
    """A label side as the operators take it: tensors, and no length."""
    side = label_side(batch(*size)[1], K, size[0], dtype=dtype)
    return side.class_E, side.cell_E, side.weight_E, None


def in_buffers(dtype=torch.float32):
    """The same, in buffers that are longer."""
    ids = fold_ignored(batch(*MAPS)[1], K, 255)
    *buffers, _ = operators._label_entries(ids, None, K, list(MAPS[0]), False, dtype)
    return buffers


@pytest.mark.parametrize("given", [entries, in_buffers])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_sums_and_their_gradient_are_sound_operators(given, dtype, channels_last):
    features = batch(*MAPS, dtype=dtype)[0].flatten(2)
    if channels_last:
        features = features.mT.contiguous().mT
    torch.library.opcheck(operators._class_sums, (features.requires_grad_(), *given(), K))
    gradient_KD = torch.randn(K, features.shape[1], requires_grad=True)
    layout = (list(features.shape), channels_last, dtype)
    torch.library.opcheck(operators._spread_class_sums, (gradient_KD, *given(), *layout))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_entries_are_a_sound_operator(size):
    ids = fold_ignored(batch(*size)[1], K, 255)
    arguments = (ids, None, K, list(size[0]), False, torch.float32)
    torch.library.opcheck(
        operators._label_entries, arguments, test_utils=("test_schema", "test_faketensor")
    )
    *buffers, length, counts_K = operators._label_entries(*arguments)
    side = label_side(batch(*size)[1], K, size[0])
    expected = (side.class_E, side.cell_E, side.weight_E)
    assert length.tolist() == [len(side.cell_E)]
    torch.testing.assert_close(tuple(buffer[:length] for buffer in buffers), expected)
    assert torch.equal(counts_K, side.counts_K)


def test_the_entries_of_voxels():
    ids, inverse = torch.tensor([0, 1, K, 1, 1]), torch.tensor([2, 0, 0, 0, 1])
    *buffers, length, _ = operators._label_entries(ids, inverse, K, [3], False, torch.float32)
    side = voxel_side(ids, inverse, 3, K, ignore_index=K)
    expected = (side.class_E, side.cell_E, side.weight_E)
    torch.testing.assert_close(tuple(buffer[:length] for buffer in buffers), expected)


def test_second_derivatives():
    features, labels = batch(*MAPS, dtype=torch.float64)
    side = label_side(labels, K, MAPS[0], dtype=torch.float64)
    assert torch.autograd.gradgradcheck(
        lambda maps: operators.sums_over_side(maps, side).square(), features.requires_grad_()
    )


@every_kind_and_preparation
def test_the_compiled_graph_multiplies_with_no_matrix_of_all_classes(sizes, prepared):
    torch.compiler.reset()
    features, labels = batch(*sizes)
    side = label_side(labels, K, sizes[0]) if prepared else None
    called = []

    def listing(graph, _):
        called.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    compiled = torch.compile(class_centers, fullgraph=True, backend=listing)
    expected = class_centers(features, labels, K, label_side=side)
    torch.testing.assert_close(compiled(features, labels, K, label_side=side), expected)
    assert not any("bmm" in target for target in called)
    assert any("class_sums" in target for target in called) == (features.ndim > 2)


def test_batches_of_other_sizes_compile_once_more_at_most():
    torch.compiler.reset()
    graphs = []

    def counting(graph, _):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(class_centers, fullgraph=True, backend=counting)
    for images, seed in ((2, 0), (3, 1), (4, 2), (5, 3)):
        features, labels = batch(*MAPS, images=images, seed=seed)
        torch.testing.assert_close(
            compiled(features, labels, K), class_centers(features, labels, K)
        )
    assert len(graphs) == 2  # for one size, then for any


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int32])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1000, 2000)])
def test_memory_in_huge_pages_is_an_ordinary_tensor(dtype, shape):
    memory = operators.empty_in_huge_pages(shape, dtype)
    assert (memory.dtype, memory.shape, memory.is_contiguous()) == (dtype, shape, True)
    memory.fill_(1)
    assert memory.sum(dtype=torch.float64) == memory.numel()
