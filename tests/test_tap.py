import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from equiseg.tap import FeatureTap

K, C = 5, 8


class Net(nn.Module):
    """A body and a pixel classifier."""

    def __init__(self, body=None, classifier=None):
        super().__init__()
        self.body = body or nn.Sequential(nn.Conv2d(3, C, 3, padding=1), nn.Tanh())
        self.classifier = classifier or nn.Conv2d(C, K, 1)

    def forward(self, x):
        return self.classifier(self.body(x))


class Checkpointed(nn.Module):
    def __init__(self, net, use_reentrant):
        super().__init__()
        self.net, self.use_reentrant = net, use_reentrant

    def forward(self, x):
        return checkpoint(self.net, x, use_reentrant=self.use_reentrant)


def images(*shape):
    return torch.randn(shape or (2, 3, 6, 6), generator=torch.Generator().manual_seed(0))


def body_gradient(net, tap, x, call=None):
    """Gradient of the body's weights through the features alone."""
    net.zero_grad()
    (net if call is None else call)(x)
    tap.features.square().sum().backward()
    return net.body[0].weight.grad.clone()


def expected_gradient(net, x):
    net.zero_grad()
    net.body(x).square().sum().backward()
    return net.body[0].weight.grad.clone()


NETS = {
    "linear (N,C)": (nn.Linear(3, C), nn.Linear(C, K), (7, 3), (7, C)),
    "linear (B,N,C)": (nn.Linear(3, C), nn.Linear(C, K), (2, 7, 3), (2, C, 7)),
    "linear (B,H,W,C)": (nn.Linear(3, C), nn.Linear(C, K), (2, 4, 6, 3), (2, C, 4, 6)),
    "conv 1x1": (nn.Conv2d(3, C, 3), nn.Conv2d(C, K, 1), (2, 3, 6, 6), (2, C, 4, 4)),
    "conv 3x3": (nn.Conv2d(3, C, 3), nn.Conv2d(C, K, 3), (2, 3, 6, 6), (2, C, 4, 4)),
    "conv 3d": (nn.Conv3d(3, C, 3), nn.Conv3d(C, K, 3), (1, 3, 5, 5, 5), (1, C, 3, 3, 3)),
    "conv 1d": (nn.Conv1d(3, C, 1), nn.Conv1d(C, K, 1), (2, 3, 9), (2, C, 9)),
    "transposed": (
        nn.Conv2d(3, C, 3),
        nn.ConvTranspose2d(C, K, 2, 2),
        (2, 3, 6, 6),
        (2, C, 4, 4),
    ),
}


@pytest.mark.parametrize("kind", NETS)
def test_features_are_the_classifiers_input_channels_first(kind):
    first, classifier, given, wanted = NETS[kind]
    net = Net(nn.Sequential(first, nn.Tanh()), classifier)
    tap = FeatureTap(net, num_classes=K)
    assert (tap.name, tap.layer, tap.in_features, tap.num_classes) == (
        "classifier",
        classifier,
        C,
        K,
    )
    x = images(*given)
    logits = net(x)
    assert tap.features.shape == wanted
    linear = isinstance(classifier, nn.Linear)
    again = classifier(tap.features.movedim(1, -1) if linear else tap.features)
    torch.testing.assert_close(again, logits)
    torch.testing.assert_close(body_gradient(net, tap, x), expected_gradient(net, x))


class TestFinding:
    @pytest.mark.parametrize("layer", ["0", None])
    def test_a_single_layer_needs_no_num_classes(self, layer):
        assert FeatureTap(nn.Sequential(nn.Conv2d(3, K, 1), nn.ReLU()), layer).num_classes == K

    def test_num_classes_is_required_when_several_layers_fit(self):
        with pytest.raises(
            ValueError, match=r"(?s)num_classes=None fits 2.*'body.0'.*'classifier'"
        ):
            FeatureTap(Net())

    def test_several_fitting_layers_are_listed_with_shapes(self):
        net = Net(nn.Sequential(nn.Conv2d(3, K, 1), nn.Tanh()), nn.Conv2d(K, K, 3))
        with pytest.raises(ValueError, match=r"(?s)fits 2 .*'body.0': Conv2d\(3, 5.*'classifier'"):
            FeatureTap(net, num_classes=K)
        assert FeatureTap(net, "classifier", num_classes=K).layer is net.classifier

    def test_the_error_lists_the_last_layers_when_none_fits(self):
        with pytest.raises(ValueError, match=r"(?s)num_classes=9 fits none.*layer='classifier'"):
            FeatureTap(Net(), num_classes=9)

    def test_an_auxiliary_head_never_wins_unless_named(self):
        net = Net()
        net.aux_head = nn.Sequential(nn.Conv2d(C, K, 1))
        assert FeatureTap(net, num_classes=K).name == "classifier"
        assert FeatureTap(net, "aux_head.0").name == "aux_head.0"
        net.classifier = nn.Identity()
        with pytest.raises(ValueError, match=r"(?s)fits 1 .*layer='aux_head.0'"):
            FeatureTap(net, num_classes=K)

    def test_a_grouped_convolution_is_no_classifier_unless_named(self):
        body = nn.Sequential(nn.Conv2d(3, C, 1), nn.Conv2d(C, K * C, 3, groups=C))
        net = Net(body, nn.Conv2d(K * C, K * C, 1))
        assert FeatureTap(net, num_classes=K * C).name == "classifier"
        assert FeatureTap(net, "body.1").in_features == C

    @pytest.mark.parametrize(
        "name", ["classifier", "module.classifier", "module._orig_mod.classifier"]
    )
    def test_names_resolve_with_and_without_wrappers(self, name):
        net = Net()
        assert FeatureTap(net, name).layer is net.classifier
        wrapped = nn.Module()
        wrapped.module = net
        assert FeatureTap(wrapped, name).layer is net.classifier
        assert FeatureTap(wrapped, name).name == "module.classifier"

    def test_the_module_itself_and_a_shared_module_by_its_second_name(self):
        net = Net()
        assert FeatureTap(net, net.classifier).name == "classifier"
        net.alias = net.classifier
        assert FeatureTap(net, num_classes=K).name == "classifier"
        assert FeatureTap(net, "alias").layer is net.classifier

    def test_an_unknown_name_a_foreign_module_and_wrong_outputs_are_refused(self):
        with pytest.raises(ValueError, match=r"(?s)layer='head' fits none.*layer='classifier'"):
            FeatureTap(Net(), "head")
        with pytest.raises(ValueError, match="fits none"):
            FeatureTap(Net(), nn.Conv2d(C, K, 1))
        with pytest.raises(ValueError, match="num_classes is 7, but layer 'classifier' has 5"):
            FeatureTap(Net(), "classifier", num_classes=7)

    def test_wrong_types_are_refused(self):
        with pytest.raises(TypeError, match="model must be"):
            FeatureTap(lambda x: x)
        with pytest.raises(TypeError, match="layer must be a name or a module, got int"):
            FeatureTap(Net(), 3)

    def test_naming_the_dropout_reads_before_it(self):
        net = Net(classifier=nn.Sequential(nn.Dropout(0.9), nn.Conv2d(C, K, 1)))
        behind, before = FeatureTap(net, num_classes=K), FeatureTap(net, "classifier.0")
        x = images()
        net(x)
        torch.testing.assert_close(before.features, net.body(x))
        assert (behind.features == 0).float().mean() > 0.5
        assert before.in_features == C and before.num_classes is None


class TestReading:
    def test_before_any_forward_and_after_removal_there_is_a_clear_error(self):
        net = Net()
        with FeatureTap(net, num_classes=K) as tap:
            with pytest.raises(RuntimeError, match=r"'classifier': it has not run since"):
                _ = tap.features
            net(images())
            assert tap.features.requires_grad
        with pytest.raises(RuntimeError, match="the tap was removed"):
            _ = tap.features
        assert not net._forward_pre_hooks and not net.classifier._forward_pre_hooks

    def test_the_features_are_never_those_of_an_earlier_forward(self):
        net = Net()
        tap = FeatureTap(net, num_classes=K)
        net(images())
        net.classifier = nn.Conv2d(C, K, 1)
        net(images())
        with pytest.raises(RuntimeError, match="did not run in the model's last forward"):
            _ = tap.features

    def test_the_last_run_of_a_shared_classifier_counts(self):
        class TwoScales(Net):
            def forward(self, x):
                small = self.classifier(self.body(x[..., ::2, ::2]))
                return small, super().forward(x)

        net, x = TwoScales(), images()
        tap = FeatureTap(net, num_classes=K)
        net(x)
        torch.testing.assert_close(tap.features, net.body(x))

    def test_no_grad_gives_features_without_graph_that_can_be_read_outside(self):
        net = Net().eval()
        tap = FeatureTap(net, num_classes=K)
        with torch.no_grad():
            net(images())
        assert not tap.features.requires_grad

    def test_input_given_by_keyword(self):
        layer = nn.Conv2d(C, K, 1)
        tap = FeatureTap(layer)
        x = images(2, C, 4, 4)
        layer(input=x)
        assert tap.features is x

    def test_a_layer_that_takes_no_tensor_and_a_replica_are_refused(self):
        class Head(nn.Module):
            def forward(self, maps):
                return maps[0]

        net = nn.Sequential(Head())
        tap = FeatureTap(net, "0")
        with pytest.raises(TypeError, match="layer '0' takes a list"):
            net([images()])
        tap.remove()
        layer = nn.Linear(C, K)
        tap = FeatureTap(layer)
        with pytest.raises(RuntimeError, match="DistributedDataParallel"):
            copy.copy(layer)(images(2, C))
        assert tap.num_classes == K


class TestGraph:
    @pytest.mark.parametrize("read", [False, True])
    @pytest.mark.parametrize("frozen", [False, True])
    def test_nothing_is_kept_after_backward(self, read, frozen):
        net = Net(nn.Sequential(Marked(nn.Conv2d(3, C, 1)), nn.Tanh()))
        net.classifier.requires_grad_(not frozen)
        tap = FeatureTap(net, num_classes=K)
        loss = net(images()).sum()
        marks = net.body[0].marks
        if read:
            loss = loss + tap.features.mean() + tap.features.square().mean()
        gc.collect()
        assert marks[-1]() is not None
        loss.backward()
        del loss
        assert marks[-1]() is None  # at once, by reference counting alone
        with pytest.raises(RuntimeError, match="a backward pass has freed them"):
            _ = tap.features

    def test_features_of_a_forward_without_backward_are_released_at_the_next_forward(self):
        net = Net(nn.Sequential(Marked(nn.Conv2d(3, C, 1)), nn.Tanh()))
        tap = FeatureTap(net, num_classes=K)
        seen = []
        net(images())
        net.body.register_forward_pre_hook(lambda *_: seen.append(net.body[0].marks[0]() is None))
        net(images())
        assert seen == [True] and tap.features.requires_grad
        tap.remove()
        assert net.body[0].marks[1]() is None

    def test_a_deleted_tap_keeps_nothing_alive(self):
        net = Net(nn.Sequential(Marked(nn.Conv2d(3, C, 1)), nn.Tanh()))
        tap = FeatureTap(net, num_classes=K)
        net(images())
        gone = weakref.ref(tap)
        del tap
        assert gone() is None and net.body[0].marks[0]() is None
        net(images())

    def test_accumulated_steps_and_two_forwards_before_one_backward(self):
        net, x, y = Net(), images(), images() + 1
        tap = FeatureTap(net, num_classes=K)
        wanted = expected_gradient(net, x) + expected_gradient(net, y)
        net.zero_grad()
        for z in (x, y):
            net(z)
            tap.features.square().sum().backward()
        torch.testing.assert_close(net.body[0].weight.grad, wanted)
        net.zero_grad()
        losses = []
        for z in (x, y):
            net(z)
            losses.append(tap.features.square().sum())
        sum(losses).backward()
        torch.testing.assert_close(net.body[0].weight.grad, wanted)
        with pytest.raises(RuntimeError, match="freed"):
            _ = tap.features

    def test_no_hook_stays_on_a_leaf_input(self):
        layer = nn.Linear(C, K)
        tap = FeatureTap(layer)
        x = images(4, C).requires_grad_()
        for _ in range(3):
            layer(x)
        tap.remove()
        assert not x._backward_hooks


class TestCheckpointing:
    def test_the_features_of_the_first_forward_carry_the_gradient(self):
        net = Net()
        model = Checkpointed(net, use_reentrant=False)
        for tapped in (model, net):  # the recomputation calls the hooks of `net` itself again
            tap = FeatureTap(tapped, num_classes=K)
            x = images()
            torch.testing.assert_close(
                body_gradient(net, tap, x, call=model), expected_gradient(net, x)
            )
            net.zero_grad()
            logits = model(x)
            features = tap.features
            (logits.sum() * 0 + features.square().sum()).backward()
            torch.testing.assert_close(net.body[0].weight.grad, expected_gradient(net, x))
            with pytest.raises(RuntimeError, match="freed"):
                _ = tap.features  # not those of the recomputation

    def test_a_reentrant_checkpoint_is_an_error_that_says_what_to_do(self):
        model = Checkpointed(Net(), use_reentrant=True)
        tap = FeatureTap(model, num_classes=K)
        logits = model(images().requires_grad_())
        with pytest.raises(RuntimeError, match="use_reentrant=False"):
            _ = tap.features
        with torch.no_grad():
            assert tap.features.shape == (2, C, 6, 6)
        logits.sum().backward()
        model(images())
        assert tap._features.grad_fn is None  # the recomputation left nothing

    def test_a_reentrant_checkpoint_of_the_body_alone_is_fine(self):
        net = Net()
        net.body = nn.Sequential(net.body[0], Checkpointed(nn.Tanh(), use_reentrant=True))
        tap = FeatureTap(net, num_classes=K)
        x = images()
        torch.testing.assert_close(body_gradient(net, tap, x), expected_gradient(net, x))


class TestCompile:
    @pytest.fixture(autouse=True)
    def fresh(self):
        torch.compiler.reset()
        yield
        torch.compiler.reset()

    @pytest.mark.parametrize("backend", ["eager", "aot_eager"])
    @pytest.mark.parametrize("order", ["tap first", "compile first", "in place"])
    def test_features_are_fresh_and_carry_gradient(self, backend, order):
        net = Net()
        if order == "compile first":
            model = torch.compile(net, backend=backend)
            tap = FeatureTap(model, num_classes=K)
            assert tap.name == "_orig_mod.classifier"
        else:
            tap = FeatureTap(net, "classifier")
            if order == "in place":
                net.compile(backend=backend)
                model = net
            else:
                model = torch.compile(net, backend=backend)
        for shift in range(3):
            x = images() + shift
            torch.testing.assert_close(
                body_gradient(net, tap, x, call=model), expected_gradient(net, x)
            )
            model(x)
            torch.testing.assert_close(tap.features, net.body(x))
        tap.remove()
        model(x)
        with pytest.raises(RuntimeError, match="removed"):
            _ = tap.features

    def test_the_model_around_the_tap_stays_compiled_and_is_compiled_once(self):
        sizes = []

        def backend(graph, inputs):
            sizes.append(sum(node.op.startswith("call") for node in graph.graph.nodes))
            return graph.forward

        net = Net()
        tap = FeatureTap(net, num_classes=K)
        model = torch.compile(net, backend=backend)
        for shift in range(12):  # more than dynamo's limit of recompilations
            model(images() + shift)
            tap.features.sum().backward()
        assert sizes == [2, 1]  # the body's convolution and tanh; the classifier

    def test_a_compiled_training_step_as_a_whole(self):
        net = Net()
        tap = FeatureTap(net, num_classes=K)

        def step(x):
            logits = net(x)
            return logits.mean() + tap.features.square().sum()

        compiled = torch.compile(step, backend="aot_eager")
        for shift in range(3):
            x = images() + shift
            got = torch.autograd.grad(compiled(x), net.body[0].weight)
            wanted = torch.autograd.grad(step(x), net.body[0].weight)
            torch.testing.assert_close(got, wanted)

    def test_compiled_and_called_before_the_tap_is_an_error_with_the_cure(self):
        model = torch.compile(Net(), backend="eager")
        model(images())
        tap = FeatureTap(model, num_classes=K)
        model(images())
        with pytest.raises(RuntimeError, match=r"last forward.*torch.compiler.reset\(\)"):
            _ = tap.features
        torch.compiler.reset()
        model(images())
        assert tap.features.requires_grad

    def test_nothing_is_kept_after_backward(self):
        net = Net(nn.Sequential(nn.Conv2d(3, C, 1), nn.Tanh()))
        tap = FeatureTap(net, num_classes=K)
        model = torch.compile(net, backend="aot_eager")
        logits = model(images())
        assert tap.features.requires_grad
        logits.sum().backward()
        with pytest.raises(RuntimeError, match="freed"):
            _ = tap.features

    def test_checkpoint_inside_a_compiled_model(self):
        net = Net()
        model = torch.compile(Checkpointed(net, use_reentrant=False), backend="aot_eager")
        tap = FeatureTap(model, num_classes=K)
        x = images()
        torch.testing.assert_close(
            body_gradient(net, tap, x, call=model), expected_gradient(net, x)
        )


class TestCopies:
    def test_state_dict_is_untouched(self):
        net = Net()
        keys = list(net.state_dict())
        tap = FeatureTap(net, num_classes=K)
        net(images())
        assert list(net.state_dict()) == keys and tap.name == "classifier"

    def test_a_copied_and_a_pickled_model_work_without_the_tap(self):
        net = nn.Sequential(nn.Conv2d(3, C, 1), nn.Conv2d(C, K, 1))
        tap = FeatureTap(net, num_classes=K)
        net(images())
        saved = pickle.dumps(net)
        assert b"equiseg" not in saved
        for twin in (copy.deepcopy(net), pickle.loads(saved)):
            torch.testing.assert_close(twin(images() + 1), net(images() + 1))
            net(images())
            before = tap.features
            twin(images() + 1)
            assert tap.features is before
            compiled = torch.compile(twin, backend="eager")
            torch.testing.assert_close(compiled(images()), net(images()))
            own = FeatureTap(twin, num_classes=K)
            twin(images())
            assert own.features.requires_grad

    def test_a_tap_copied_with_its_model_taps_the_copy(self):
        net = Net()
        pair = {"net": net, "tap": FeatureTap(net, num_classes=K)}
        net(images())
        for twin in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
            assert twin["tap"].layer is twin["net"].classifier
            with pytest.raises(RuntimeError, match="has not run"):
                _ = twin["tap"].features
            twin["net"](images())
            torch.testing.assert_close(twin["tap"].features, pair["tap"].features)


@pytest.mark.parametrize("tap_first", [True, False])
def test_distributed_data_parallel(tmp_path, tap_first):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    model = None
    try:
        net = Net()
        x = images()
        wanted = expected_gradient(net, x)
        tap = FeatureTap(net, num_classes=K) if tap_first else None
        model = nn.parallel.DistributedDataParallel(net)
        tap = tap or FeatureTap(model, "classifier")
        assert tap.name == ("classifier" if tap_first else "module.classifier")
        for _ in range(2):
            net.zero_grad()
            logits = model(x)
            (0 * logits.sum() + tap.features.square().sum()).backward()
            torch.testing.assert_close(net.body[0].weight.grad, wanted)
    finally:
        # Before the group ends: a model that outlives it would end it while it holds the
        # interpreter's lock, for which the threads of the group may be waiting.
        del model
        gc.collect()
        torch.distributed.destroy_process_group()


class TestTransformers:
    def check(self, model, x, name, in_features):
        tap = FeatureTap(model, num_classes=7)
        assert (tap.name, tap.in_features) == (name, in_features)
        model.train()
        model(pixel_values=x)
        assert tap.features.shape[:2] == (2, in_features)
        tap.features.square().mean().backward()
        assert next(model.parameters()).grad.abs().sum() > 0
        return tap

    def test_segformer(self):
        transformers = pytest.importorskip("transformers")
        model = transformers.SegformerForSemanticSegmentation(segformer_config(transformers))
        tap = self.check(model, images(2, 3, 64, 64), "decode_head.classifier", 16)
        tap.remove()
        with FeatureTap(model, "decode_head.dropout") as before:
            model(pixel_values=images(2, 3, 64, 64))
            assert before.features.shape == (2, 16, 16, 16)

    def test_segformer_with_activation_checkpointing_and_compiled(self):
        transformers = pytest.importorskip("transformers")
        model = transformers.SegformerForSemanticSegmentation(segformer_config(transformers))
        model.gradient_checkpointing_enable()
        self.check(model, images(2, 3, 64, 64), "decode_head.classifier", 16)
        model.gradient_checkpointing_disable()
        model.eval()
        tap = FeatureTap(model, num_classes=7)
        model(pixel_values=images(2, 3, 64, 64))
        wanted = tap.features
        torch.compiler.reset()
        torch.compile(model, backend="eager")(pixel_values=images(2, 3, 64, 64))
        assert tap.features is not wanted
        torch.testing.assert_close(tap.features, wanted)

    def test_upernet_swin_with_its_auxiliary_head(self):
        transformers = pytest.importorskip("transformers")
        backbone = transformers.SwinConfig(
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 2, 2],
            window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        config = transformers.UperNetConfig(
            backbone_config=backbone,
            hidden_size=16,
            auxiliary_channels=8,
            auxiliary_in_channels=32,
            num_labels=7,
            use_auxiliary_head=True,
        )
        model = transformers.UperNetForSemanticSegmentation(config)
        assert model.auxiliary_head.classifier.out_channels == 7
        self.check(model, images(2, 3, 64, 64), "decode_head.classifier", 16)

    def test_mobilenet_v2_deeplab(self):
        transformers = pytest.importorskip("transformers")
        config = transformers.MobileNetV2Config(
            image_size=64, depth_multiplier=0.25, num_labels=7, output_stride=16
        )
        model = transformers.MobileNetV2ForSemanticSegmentation(config)
        name = "segmentation_head.classifier.convolution"
        self.check(model, images(2, 3, 64, 64), name, 256)


def segformer_config(transformers):
    return transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=7,
    )


class Marked(nn.Module):
    """Runs a module and leaves, per call, a weak reference to an object its graph alone holds."""

    def __init__(self, module):
        super().__init__()
        self.module, self.marks = module, []

    def forward(self, x):
        class Mark:
            pass

        class Identity(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.mark = Mark()
                self.marks.append(weakref.ref(ctx.mark))
                return x.clone()

            @staticmethod
            def backward(ctx, grad):
                return grad

        return Identity.apply(self.module(x))
