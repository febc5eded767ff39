"""The tap compares its layer with the network's output, is exported away, and reads other kinds."""

import gc
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from equiseg import CenterCollapseLoss
from equiseg.tap import FeatureTap
from equiseg.tap.compare_output import map_size, match_output, outputs_of

K, C = 5, 8


def images(*shape):
    return torch.randn(shape or (2, 3, 8, 8), generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A body and a pixel classifier; a function makes the output of the logits."""

    def __init__(self, after=lambda logits: logits):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(3, C, 3, padding=1), nn.Tanh())
        self.classifier = nn.Conv2d(C, K, 1)
        self.after = after

    def forward(self, x):
        return self.after(self.classifier(self.body(x)))


def up(logits, mode="bilinear", **kwargs):
    return F.interpolate(logits, scale_factor=4, mode=mode, **kwargs)


SEEN = {
    "as it is": (lambda y: y, ""),
    "in a dict": (lambda y: {"aux": y * 0 + 1, "out": y}, ".out"),
    "in a list": (lambda y: [y, y[..., ::2, ::2]], "[0]"),
    "in an object": (lambda y: SimpleNamespace(F=y), ""),
    "channels last": (lambda y: y.movedim(1, -1), ""),
    "bilinear": (up, "resized"),
    "aligned": (lambda y: up(y, align_corners=True), "resized"),
    "nearest": (lambda y: up(y, "nearest"), "resized"),
    "bicubic": (lambda y: up(y, "bicubic"), "resized"),
    "resized and cropped": (lambda y: up(y)[..., :30, :31], "cropped"),
    "cropped": (lambda y: y[..., 1:7, 1:7], "cropped"),
    "softmax": (lambda y: y.softmax(1), "softmax"),
    "softmax, resized": (lambda y: up(y.softmax(1)), "softmax resized"),
    "resized, softmax": (lambda y: up(y).log_softmax(1), "resized log-softmax"),
    "sigmoid": (lambda y: y.mul_(30).sigmoid(), "sigmoid"),
    "temperature and bias": (lambda y: up(y) * 3 + torch.arange(5.0).view(5, 1, 1), "resized"),
    "half": (lambda y: y.half(), ""),
}


@pytest.mark.parametrize("kind", SEEN)
def test_the_classifier_is_seen_in_the_output(kind):
    after, seen = SEEN[kind]
    net = Net(after)
    tap = FeatureTap(net, num_classes=K)
    assert tap.compared == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(images())
    assert seen in tap.compared and "model's output" in tap.compared
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FeatureTap(net, "classifier")
        net(images())


class Gated(nn.Module):
    """A gate with K outputs in the middle; the logits are a product with text."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, C, 3, padding=1)
        self.gate, self.back = nn.Conv2d(C, K, 1), nn.Conv2d(K, C, 1)
        self.embed = nn.Conv2d(C, 12, 1)
        self.register_buffer("text", torch.randn(K, 12))

    def forward(self, x):
        f = self.stem(x)
        f = f * self.back(self.gate(f.mean((2, 3), keepdim=True))).sigmoid()
        return torch.einsum("bchw,kc->bkhw", self.embed(f), self.text)


class TestWrongLayer:
    @pytest.mark.parametrize("batch", [1, 2])
    def test_a_layer_that_was_searched_for_is_refused_every_time(self, batch):
        net = Gated()
        tap = FeatureTap(net, num_classes=K)
        for _ in range(2):
            with pytest.raises(
                ValueError, match=r"'gate' gives .* not the model's output .*output=True"
            ):
                net(images(batch, 3, 8, 8))
        tap.remove()
        net(images())

    def test_a_named_layer_is_a_warning_once(self):
        net = Gated()
        tap = FeatureTap(net, "gate")
        with pytest.warns(UserWarning, match="is it the right layer"):
            net(images())
        assert "not found" in tap.compared and tap.features.shape == (2, C, 1, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net(images())

    def test_an_output_without_classes_is_said(self):
        net = Net(lambda y: {"loss": y.sum(), "ids": y.argmax(1)})
        tap = FeatureTap(net, num_classes=K)
        with pytest.warns(UserWarning, match=r"not compared: .* no tensor of 5 channels; name it"):
            net(images())
        assert "not compared" in tap.compared and tap.features.shape == (2, C, 8, 8)

    def test_the_second_output_is_said(self):
        net = Net(lambda y: (y.flip(-1).square(), y))
        tap = FeatureTap(net, num_classes=K)
        with pytest.warns(UserWarning, match=r"output\[1\], not its first"):
            net(images())
        assert "output[1]" in tap.compared

    def test_a_forward_of_nan_is_compared_later(self):
        net = Gated()
        tap = FeatureTap(net, num_classes=K)
        net(images() * torch.nan)
        assert tap.compared == ""
        with pytest.raises(ValueError, match="'gate'"):
            net(images())

    def test_a_layer_of_other_channels_is_not_compared(self):
        net = Net()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tap = FeatureTap(net, "body.1")
            net(images())
        assert tap.compared == "" and tap.features.shape == (2, C, 8, 8)


class Tokens(nn.Module):
    """A Linear head over tokens, whose logits become maps afterwards."""

    def __init__(self, rows=False, larger=1, maps=True):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.head = nn.Conv2d(3, C, 4, 4), nn.Linear(C, K)
        self.rows, self.larger, self.maps = rows, larger, maps

    def forward(self, x):
        f = self.patch(x)
        b, c, h, w = f.shape
        tokens = f.flatten(2).transpose(1, 2)
        y = self.head(tokens.reshape(-1, c) if self.rows else tokens).reshape(b, -1, K)
        if not self.maps:
            return y
        y = y.transpose(1, 2).reshape(b, K, h, w)
        return (
            y if self.larger == 1 else F.interpolate(y, scale_factor=self.larger, mode="bilinear")
        )


class TestTokens:
    @pytest.mark.parametrize("rows", [False, True])
    @pytest.mark.parametrize("larger", [1, 4])
    def test_tokens_become_the_maps_of_the_logits(self, rows, larger):
        net = Tokens(rows, larger)
        tap = FeatureTap(net, num_classes=K)
        for size in ((16, 24), (8, 32)):  # each forward has a size of its own
            x = images(2, 3, *size)
            net(x)
            torch.testing.assert_close(tap.features, net.patch(x))
            labels = torch.randint(0, K, (2, *size))
            CenterCollapseLoss(K, tap.in_features)(tap.features, labels).backward()

    def test_tokens_that_stay_tokens(self):
        net = Tokens(maps=False)
        tap = FeatureTap(net, num_classes=K)
        x = images(2, 3, 16, 24)
        net(x)
        torch.testing.assert_close(tap.features, net.patch(x).flatten(2))

    def test_a_loss_says_how_tokens_become_maps(self):
        with pytest.raises(ValueError, match=r"tokens.*unflatten\(2, \(h, w\)\)"):
            CenterCollapseLoss(K, C)(torch.randn(2, C, 24), torch.zeros(2, 4, 6, dtype=torch.long))

    def test_sizes_of_maps(self):
        assert map_size(24, (4, 6)) == (4, 6) and map_size(24, (16, 24)) == (4, 6)
        assert map_size(7, (16, 24)) == () and map_size(0, (4, 4)) == ()


class TestExport:
    def shared(self):
        net = Net().eval()
        net.alias = net.body
        return net, FeatureTap(net, num_classes=K)

    @pytest.mark.parametrize("strict", [False, True])
    def test_torch_export(self, strict):
        net, tap = self.shared()
        net(images())
        program = torch.export.export(net, (images(),), strict=strict)
        torch.testing.assert_close(program.module()(images()), net(images()))
        assert tap.features.requires_grad

    @pytest.mark.filterwarnings("ignore:.*torch.jit")
    def test_jit_trace_before_and_after_a_forward(self):
        for first in (True, False):
            net, tap = self.shared()
            if first:
                net(images())
            traced = torch.jit.trace(net, (images(),))
            torch.testing.assert_close(traced(images()), net(images()))
            assert tap.features.shape == (2, C, 8, 8)

    def test_symbolic_trace(self):
        net, tap = self.shared()
        graph = torch.fx.symbolic_trace(net)
        torch.testing.assert_close(graph(images()), net(images()))
        assert tap.features.requires_grad

    @pytest.mark.filterwarnings("ignore")
    def test_onnx(self, tmp_path):
        pytest.importorskip("onnxscript")
        net, _ = self.shared()
        torch.onnx.export(net, (images(),), tmp_path / "net.onnx", dynamo=True)


def test_dropped_taps_leave_no_hooks():
    net = Net()

    def hooks():
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())

    for _ in range(3):
        tap = FeatureTap(net, num_classes=K)
        net(images())
        del tap
    gc.collect()
    assert hooks() == 0
    kept = FeatureTap(net, num_classes=K)
    assert hooks() > 0
    kept.remove()
    assert hooks() == 0


class TestOtherLayers:
    def test_the_output_of_a_layer(self):
        net = Gated()
        tap = FeatureTap(net, "embed", num_classes=K, output=True)
        assert (tap.in_features, tap.num_classes) == (12, K)
        logits = net(images())
        torch.testing.assert_close(torch.einsum("bchw,kc->bkhw", tap.features, net.text), logits)
        tap.features.sum().backward()
        assert net.stem.weight.grad.abs().sum() > 0
        with pytest.raises(ValueError, match="name it with layer"):
            FeatureTap(net, num_classes=K, output=True)

    def test_a_negative_part_counts_from_the_end(self):
        net = Net()
        net.levels = nn.ModuleList([nn.Conv2d(C, K, 1), nn.Conv2d(C, K, 3)])
        tap = FeatureTap(net, "levels.-1")
        assert tap.name == "levels.1" and tap.layer is net.levels[1]
        assert FeatureTap(net, "body.-2").name == "body.0"
        with pytest.raises(ValueError, match="fits none"):
            FeatureTap(net, "levels.-3")
        with pytest.raises(ValueError, match="fits none"):
            FeatureTap(net, "nothing.-1")

    def test_one_output_more_is_named(self):
        with pytest.raises(ValueError, match=r"'classifier' has num_classes \+ 1 = 5.*queries"):
            FeatureTap(Net(), num_classes=K - 1)

    def test_sparse_heads(self):
        class Sparse(nn.Module):
            def __init__(self):
                super().__init__()
                self.in_channels, self.out_channels = C, K
                self.weight = nn.Parameter(torch.randn(C, K))

            def forward(self, x):
                return SimpleNamespace(F=x.F @ self.weight)

        class Sums(nn.Module):
            def __init__(self):
                super().__init__()
                self.head = Sparse()

            def forward(self, x):
                return self.head(SimpleNamespace(F=x)).F

        net = Sums()
        tap = FeatureTap(net, num_classes=K)
        x = torch.randn(7, C)
        net(x)
        assert (tap.name, tap.in_features) == ("head", C) and "model's output" in tap.compared
        torch.testing.assert_close(tap.features, x)


def test_outputs_and_matches_of_odd_things():
    assert (
        outputs_of(None, K) == {} and outputs_of("text", K) == {} and outputs_of([1, {}], K) == {}
    )
    assert outputs_of(torch.zeros(2, K, 3, dtype=torch.long), K) == {}
    maps = torch.randn(2, K, 4, 4)
    assert list(outputs_of({"auxiliary": maps, "logits": maps}, K)) == [".logits", ".auxiliary"]
    assert match_output(maps, {"": maps.flip(0)}) is None
    assert match_output(torch.zeros(2, K, 4, 4), {"": torch.zeros(2, K, 8, 8)}) is not None
    assert match_output(torch.zeros(2, K, 1, 1), {"": maps}) is None
    assert match_output(torch.randn(3, K), {"": maps}) is None
