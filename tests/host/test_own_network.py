"""Networks of one's own: each supported operation against PyTorch, refusals by name, and the whole command."""

import copy
import re
import subprocess
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from load_tool import ROOT  # noqa: E402
from own_networks import PLAIN, Net, Of, block, conv, lively, pictures  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from rnnpool_training import export as command  # noqa: E402
from rnnpool_training import own_network  # noqa: E402
from rnnpool_training.blob import Kind  # noqa: E402
from rnnpool_training.compile.fold import Normalization  # noqa: E402
from rnnpool_training.compile.network import Exported, Network, export  # noqa: E402
from rnnpool_training.compile.supported import table  # noqa: E402
from rnnpool_training.engine import Engine  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.rnnpool2d import RNNPool2d  # noqa: E402
from rnnpool_training.zoo.s3fd import L2Norm  # noqa: E402

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
NETWORKS = ROOT / "examples" / "networks"


def exported(module: nn.Module, shape: tuple[int, int, int] = (16, 20, 3), norm: Normalization = PLAIN) -> Exported:
    network = Network(lively(module, shape), shape, norm, "mine")
    return export(network, pictures(24, *shape), pictures(12, *shape, seed=2))


def close(
    module: nn.Module, *kinds: Kind, shape: tuple[int, int, int] = (16, 20, 3), norm: Normalization = PLAIN
) -> Exported:
    """The engine gives the network's logits, to some parts in a hundred of their spread, by these operators."""
    found = exported(module, shape, norm)
    assert [op.kind for op in found.model.ops] == list(kinds)
    assert found.check.mean < 0.03 * max(found.check.largest, 0.1), found.check
    assert found.check.worst < 0.12 * max(found.check.largest, 0.1), found.check
    return found


ENDS = (Kind.GLOBAL_AVERAGE_POOL, Kind.DENSE)


@pytest.mark.parametrize(
    ("inner", "kinds"),
    [
        pytest.param(conv(8, 8, (5, 3), 1, (2, 1)), [Kind.CONV], id="conv"),
        pytest.param(conv(8, 8, 4, 2, 1), [Kind.CONV], id="even-kernel"),
        pytest.param(nn.Conv2d(8, 8, 3, padding="same", dilation=2), [Kind.CONV], id="dilated"),
        pytest.param(nn.Conv2d(8, 8, 3, groups=2), [Kind.CONV], id="groups"),
        pytest.param(conv(8, 8, 5, 2, 2, 8), [Kind.DEPTHWISE], id="depthwise"),
        pytest.param(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv(8, 8, 3, 2)), [Kind.CONV], id="padded-aside"),
        pytest.param(nn.MaxPool2d(3, 2, 1, ceil_mode=True), [Kind.POOL], id="max"),
        pytest.param(nn.AvgPool2d(2), [Kind.POOL], id="average"),
        pytest.param(nn.AvgPool2d(3, 2, 1), [Kind.DEPTHWISE], id="average-of-padding"),
        pytest.param(nn.AvgPool2d(3, 2, 1, count_include_pad=False), [Kind.POOL], id="average-without-padding"),
        pytest.param(nn.AdaptiveAvgPool2d((4, 5)), [Kind.POOL], id="adaptive"),
        pytest.param(nn.AdaptiveMaxPool2d((4, 5)), [Kind.POOL], id="adaptive-max"),
        pytest.param(nn.Upsample(scale_factor=2), [Kind.UPSAMPLE], id="upsample"),
        pytest.param(nn.Upsample(scale_factor=3, mode="nearest-exact"), [Kind.UPSAMPLE], id="upsample-exact"),
        pytest.param(Of(lambda x: F.normalize(x, dim=1)), [Kind.L2_NORM], id="l2-norm"),
        pytest.param(L2Norm(8, 10.0), [Kind.L2_NORM], id="l2-norm-scaled"),
        pytest.param(Of(lambda x: x / (x.pow(2).sum(1, True).sqrt() + 1e-10)), [Kind.L2_NORM], id="l2-norm-by-hand"),
        pytest.param(Of(lambda x: torch.rsqrt((x * x).sum(1, True)) * x), [Kind.L2_NORM], id="l2-norm-inverse"),
        pytest.param(conv(8, 8, act=Of(lambda x: F.normalize(F.silu(x), 2, 1))), [Kind.CONV, Kind.LOOKUP, Kind.L2_NORM],
                     id="l2-norm-of-a-table"),
        pytest.param(conv(8, 8, act=nn.Hardswish()), [Kind.CONV, Kind.LOOKUP], id="hard-swish"),
        pytest.param(conv(8, 8, act=nn.SiLU()), [Kind.CONV, Kind.LOOKUP], id="silu"),
        pytest.param(conv(8, 8, act=nn.GELU()), [Kind.CONV, Kind.LOOKUP], id="gelu"),
        pytest.param(conv(8, 8, act=nn.LeakyReLU(0.2)), [Kind.CONV, Kind.LOOKUP], id="leaky-relu"),
        pytest.param(conv(8, 8, act=nn.PReLU()), [Kind.CONV, Kind.LOOKUP], id="prelu"),
        pytest.param(conv(8, 8, act=nn.Hardtanh(-0.5, 0.7)), [Kind.CONV], id="hardtanh"),
        pytest.param(conv(8, 8, act=Of(lambda x: x * F.relu6(x + 3) / 6)), [Kind.CONV, Kind.LOOKUP], id="by-hand"),
        pytest.param(conv(8, 8, act=Of(lambda x: torch.where(x > 0, x, x / 9))), [Kind.CONV, Kind.LOOKUP], id="where"),
        pytest.param(nn.Sequential(nn.Dropout(), nn.BatchNorm2d(8), nn.Identity()), [Kind.DEPTHWISE], id="alone"),
        pytest.param(Of(lambda x: x * 0.5 + 0.25), [Kind.DEPTHWISE], id="line"),
        pytest.param(nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)), [Kind.CONV], id="before"),
        pytest.param(
            Of(lambda x, a, b: a(x) - 0.5 * b(x), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)),
            [Kind.CONV, Kind.CONV, Kind.ADD], id="difference",
        ),
        pytest.param(
            Of(lambda x, a: F.relu(x + a(x)), conv(8, 8, 3, 1, 1, act=nn.Identity())),
            [Kind.CONV, Kind.ADD], id="residual",
        ),
        pytest.param(
            Of(lambda x, a: x * F.hardsigmoid(a(F.adaptive_avg_pool2d(x, 1))), nn.Conv2d(8, 8, 1)),
            [Kind.GLOBAL_AVERAGE_POOL, Kind.CONV, Kind.LOOKUP, Kind.MUL], id="squeeze",
        ),
        pytest.param(
            nn.Sequential(*(part for _ in range(3) for part in (conv(8, 8, 3, 1, 1, 8), conv(8, 8)))),
            [Kind.DEPTHWISE, Kind.INVERTED_RESIDUAL, Kind.DEPTHWISE], id="separable",
        ),
        pytest.param(block(8, 24, 8), [Kind.INVERTED_RESIDUAL], id="block"),
        pytest.param(block(8, 24, 8, 2), [Kind.INVERTED_RESIDUAL], id="strided-block"),
        pytest.param(Of(lambda x, a: x + a(x), block(8, 24, 8)), [Kind.INVERTED_RESIDUAL], id="inverted-residual"),
        pytest.param(
            Of(lambda x, *a: torch.cat([f(x) for f in a], 1)[:, 2:], *(nn.Conv2d(8, 1, 1) for _ in range(10))),
            [Kind.CONV] * 8 + [Kind.CONCAT, Kind.CONV, Kind.CONV, Kind.CONCAT, Kind.CONV], id="many-maps",
        ),
        pytest.param(nn.Sequential(nn.ChannelShuffle(2), nn.Conv2d(8, 8, 3)), [Kind.CONV], id="shuffle"),
        pytest.param(nn.Sequential(nn.ChannelShuffle(4), conv(8, 8, 3, g=8)), [Kind.CONV, Kind.DEPTHWISE],
                     id="shuffled"),
        pytest.param(Of(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)), [Kind.CONV, Kind.CONV, Kind.CONCAT], id="chunk"),
        pytest.param(Of(lambda x, a: a(x.split([3, 5], 1)[1]), nn.Conv2d(5, 8, 1)), [Kind.CONV], id="split"),
        pytest.param(Of(lambda x: x[:, 1::2].repeat(1, 2, 1, 1)), [Kind.CONV], id="slice-repeat"),
        pytest.param(Of(lambda x, a: a(x.flip(1)[:, [0, 0, -1]]), nn.Conv2d(3, 8, 3)), [Kind.CONV] * 2,
                     id="flip-index"),
        pytest.param(Of(lambda x, a: a(x.mean(1, True)), nn.Conv2d(1, 8, 3)), [Kind.CONV, Kind.CONV],
                     id="mean-of-channels"),
        pytest.param(Of(lambda x, a: a(x.sum(1, True).expand(-1, 2, -1, -1)), nn.Conv2d(2, 8, 1)), [Kind.CONV] * 2,
                     id="sum-expand"),
    ],
)  # fmt: skip
def test_operations(inner: nn.Module, kinds: list[Kind]) -> None:
    close(Net(inner), Kind.CONV, *kinds, *ENDS)


def test_concatenation_and_rnnpool() -> None:
    joined = Of(lambda x, a, b: torch.cat([a(x), x, b(x)], 1), conv(8, 8), nn.Conv2d(8, 4, 3, padding=1))
    close(Net(joined, features=20), Kind.CONV, Kind.CONV, Kind.CONV, Kind.CONCAT, *ENDS)
    pool = RNNPool2d(8, 8, 8, 6, 4, replicate=True)
    close(Net(pool, features=32), Kind.CONV, Kind.RNNPOOL, *ENDS, shape=(32, 40, 3))
    smooth = RNNPool2d(8, 4, 3, (4, 5), 2, nonlinearity="smooth", weighted=False)
    close(Net(smooth, features=12), Kind.CONV, Kind.RNNPOOL, *ENDS, shape=(32, 40, 3))


def test_ends() -> None:
    torch.manual_seed(3)  # whichever tests came before
    body = [conv(3, 8, 3, 2, 1), conv(8, 8, 3, 2, 1)]
    flat = close(nn.Sequential(*body, nn.Flatten(), nn.Linear(160, 4)), Kind.CONV, Kind.CONV, Kind.DENSE)
    assert flat.model.ops[-1].weight.shape == (4, 4, 5, 8)
    hidden = nn.Sequential(*body, nn.Flatten(), nn.Linear(160, 12), nn.ReLU(), nn.Linear(12, 4), nn.LogSoftmax(1))
    close(hidden, Kind.CONV, Kind.CONV, Kind.CONV, Kind.DENSE)
    all_conv = nn.Sequential(*body, nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    close(all_conv, Kind.CONV, Kind.CONV, *ENDS)
    squeezed = nn.Sequential(*body, nn.Conv2d(8, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1))
    close(squeezed, Kind.CONV, Kind.CONV, Kind.CONV, *ENDS)
    one = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), Of(lambda x: x[:, :, 0, 0]), nn.Linear(8, 1), nn.Sigmoid())
    assert close(one, Kind.CONV, Kind.CONV, *ENDS).model.labels == ["no", "yes"]


def test_pictures_of_other_numbers() -> None:
    imagenet = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    found = close(Net(), Kind.CONV, *ENDS, norm=imagenet)
    assert any("its padding is of the level 114" in note for note in found.notes)
    gray = close(Net(inputs=1), Kind.CONV, *ENDS, shape=(16, 20, 1), norm=Normalization((0.0,), (1.0,)))
    assert gray.model.input_zero_point == -128 and gray.notes == []
    branches = Of(lambda x, a, b: F.relu(a(x)) + b(x), nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(3, 8, 1, 2))
    net = nn.Sequential(branches, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    close(net, Kind.DEPTHWISE, Kind.CONV, Kind.CONV, Kind.ADD, *ENDS, norm=imagenet)


def test_pictures_of_other_channels() -> None:
    """The order of colours, gray of three, three of gray: the first convolution does it, or one before it."""
    imagenet = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    close(nn.Sequential(Of(lambda x: x[:, [2, 1, 0]]), Net()), Kind.CONV, *ENDS, norm=imagenet)
    close(nn.Sequential(Of(lambda x: x.expand(-1, 3, -1, -1)), Net()), Kind.CONV, *ENDS, shape=(16, 20, 1))
    gray = Of(lambda x: (x * torch.tensor([0.3, 0.6, 0.1])[:, None, None]).sum(1, keepdim=True))
    close(nn.Sequential(gray, Net(inputs=1)), Kind.CONV, Kind.CONV, *ENDS)


def test_pixels_that_are_divided_twice() -> None:
    """A network that makes its own numbers of 0..255: right if that is said, a remark if it is not."""
    net = nn.Sequential(Of(lambda x: (x - 127.5) / 127.5), Net())
    norms = Normalization((0.0,), (1 / 255,)), Normalization((0.0,), (1.0,))
    right, twice = (exported(copy.deepcopy(net), norm=norm) for norm in norms)
    plain = exported(Net())
    assert not any("begins with a division" in note for note in right.notes + plain.notes)
    assert any(note.startswith("the network begins with a division by 128 of what --mean") for note in twice.notes)
    assert right.check.mean < 0.03 * right.check.largest and right.model.input_zero_point == 0


def test_what_differs_by_little_is_seen_of_small_results() -> None:
    """The largest value is the measure, however small."""

    def different(x: torch.Tensor) -> torch.Tensor:
        return x * (1e-4 if torch.compiler.is_exporting() else 2e-4)

    with pytest.raises(InputError, match=r"what was traced differs from the network by \S+: it can't be exported"):
        exported(nn.Sequential(Net(), Of(different)))


class Counting(nn.Module):
    """Keeps something from frame to frame."""

    frames: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frames", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.frames += 1
        return x * self.frames


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (
            nn.ConvTranspose2d(8, 8, 2, 2),
            r"inner\.0 \(ConvTranspose2d\): conv_transpose2d of 8x8x10: not .* nn\.Upsample",
        ),
        (nn.GroupNorm(2, 8), r"inner\.0 \(GroupNorm\): group_norm of 8x8x10: not supported; use nn\.BatchNorm2d"),
        (nn.PReLU(8), r"inner\.0 \(PReLU\): prelu of 8x8x10: with a constant of .*one slope"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), r"inner\.0 \(Upsample\): upsample_bilinear2d .*'nearest'"),
        (Of(lambda x: x * x.norm(dim=1, keepdim=True)), r"mul of 8x8x10 and 1x8x10: .*divided by its own length"),
        (
            Of(lambda x, a: a(x) / x.norm(dim=1, keepdim=True), nn.Conv2d(8, 8, 1)),
            r"div of .*divided by its own length",
        ),
        (
            Of(lambda x: nn.functional.normalize(x, eps=5)),
            r"div of .*of a map and its length, of at least eps = 5: at most 0\.1 is supported",
        ),
        (Of(lambda x: x / (x.norm(dim=1, keepdim=True) + 0.1)), r"div of .*divided by its own length"),
        (Of(lambda x: x / x.norm(1, dim=1, keepdim=True)), r"linalg_vector_norm of 8x8x10: of order 1"),
        (Of(lambda x: F.normalize(x, dim=3)), r"along axes \[3\]: 1, the channels, is needed"),
        (Of(lambda x: x - x.sum(1, keepdim=True)), r"sub of 8x8x10 and 1x8x10: two maps of one shape"),
        (Of(lambda x: x + x.sum((2, 3), keepdim=True)), r"sum of 8x8x10: of something else than squares or channels"),
        (Of(lambda x: x.view(1, 2, 4, 8, 10).flip(1).view(1, 8, 8, 10)), r"flip of 2x4x8x10: along axis 1"),
        (Of(lambda x: x.flip(())), r"flip of 8x8x10: of axes \[\]: 1, the channels, is needed"),
        (Of(lambda x: (x.view(1, 2, 4, 8, 10) * 2).view(1, 8, 8, 10)), r"view of 8x8x10: only a channel shuffle"),
        (Of(lambda x: x.mean(1)[:, None].repeat(1, 8, 1, 1)), r"mean of 8x8x10: over axes \[1\]"),
        (Of(lambda x: x.permute(0, 1, 3, 2)), r"inner\.0 \(Of\): permute of 8x8x10: not supported; use maps as"),
        (Of(lambda x, a: x * a(x), nn.Conv2d(8, 8, 1)), r"mul of 8x8x10 and 8x8x10: a map and a vector"),
        (Of(lambda x, a: torch.maximum(x, a(x)), nn.Conv2d(8, 8, 1)), r"maximum of .*: of two maps; use the sum"),
        (Of(lambda x: x[:, :, 1:]), r"slice of 8x8x10: along axis 2: 1, the channels, is needed"),
        (Of(lambda x: x.repeat(1, 1, 2, 1)), r"repeat of 8x8x10: by \[1, 1, 2, 1\]: channels can be repeated"),
        (Of(lambda x: x[:, :, [1, 0]]), r"index of 8x8x10: of other axes than channels"),
        (nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(8, 8, 3)), r"pad of 8x8x10: with reflect: zeros are needed"),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(2)),
            r"inner\.0\.0 \(ZeroPad2d\).*only convolutions read a padded",
        ),
        (RNNPool2d(8, 4, 2, 4, 2, padding=1), r"inner\.0 \(RNNPool2d\): pool of 8x8x10: padding \[1, 1, 1, 1\]"),
        (nn.AdaptiveAvgPool2d(3), r"adaptive_avg_pool2d of 8x8x10: to 3x3: the map's sides must be multiples"),
        (nn.Conv2d(7, 8, 1), r"can't be traced with a picture of 3x16x20: RuntimeError: .*"),
        (nn.AvgPool2d(2, divisor_override=3), r"divisor_override"),
        (
            nn.Sequential(*(conv(8, 8, act=nn.Hardswish()) for _ in range(63))),
            "the network has 129 operators, 127 is the most; 63 of them are tables",
        ),
        (nn.Sequential(*(nn.MaxPool2d(3, 1, 1) for _ in range(126))), "has 129 operators, 127 is the most$"),
        (Of(lambda x: F.dropout(x)), r"native_dropout of .*use F\.dropout\(x, p, self\.training\) instead"),
        (nn.BatchNorm2d(8, track_running_stats=False), r"of 8x8x10: not supported; use the statistics of training"),
        (nn.Conv2d(8, 8, 1, padding=2), r"conv2d of .*: padding of 2, 2, 2, 2 .* for a window of 1x1: less than"),
        (nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(8, 8, 3)), r"inner\.0\.1 .*of 0, 1, 3, 2 .*window of 3x3"),
        (Of(lambda x: x * float("inf")), r"values that are not finite|differs from the network"),
        (nn.Sequential(nn.Conv2d(8, 4096, 1), nn.Conv2d(4096, 8, 1)), r"inner\.0\.0 \(Conv2d\).*out_channels.*2048"),
    ],
)
def test_what_cannot_be_exported_is_named(inner: nn.Module, message: str) -> None:
    with pytest.raises(InputError) as caught:
        shape = (16, 20, 3)
        export(Network(Net(inner).eval(), shape, PLAIN, "mine"), pictures(4, *shape), pictures(2, *shape))
    assert re.search(message, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(1)), r"1 \(Softmax\).*of the channels of a map"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), r"result is a flattened map of 4x14x18"),
        (nn.Sequential(nn.Flatten(), nn.Linear(960, 1)), r"a single output: if it is a number .*--result numbers"),
        (nn.Sequential(nn.Flatten(), nn.Linear(960, 3), nn.Sigmoid()), r"3 probabilities, each by itself"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(960, 3), nn.Softmax(1), nn.Linear(3, 2)),
            r"2 \(Softmax\).*only the last",
        ),
        (
            nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)),
            r"the network writes to \w+ when it is run: make a new",
        ),
        (Counting(), r"the network writes to frames when it is run"),
        (Of(lambda x: x if x.mean() > 0 else -x), r"can't be traced with a picture of 3x16x20: .*data-dependent"),
        (Of(lambda x: (x.mean((2, 3)), x)), r"gives 2 results \(3x1x1, 3x16x20\): of a detector say the anchors"),
        (Of(lambda x: x.norm(dim=1, keepdim=True)), r"linalg_vector_norm of 3x16x20: only a map divided by its own"),
        (Of(lambda x: torch.zeros(1, 3)), r"does not depend on the picture"),
        (Of(lambda x: x > 0), r"gt of 3x16x20: the result is of torch\.bool, float is needed"),
        (Of(lambda x: x.mean((2, 3)).argmax(1)), r"argmax of 3: not supported; use the logits: the board finds"),
        (Of(lambda x: x.mean((2, 3)) / 0), r"div of 3: gives values that are not finite"),
    ],
)
def test_results_that_are_not_understood(net: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(Network(net.eval(), (16, 20, 3), PLAIN, "mine"), pictures(4, 16, 20, 3), pictures(2, 16, 20, 3))


def test_rnnpool_is_an_operator_of_pytorch() -> None:
    """torch.export finds one operator, which gives what the layer gives, with the layer's gradients."""
    from rnnpool_training.rnnpool2d import pool

    for padding, smooth, replicate in ((0, False, True), (1, True, False)):
        layer = RNNPool2d(
            4, 8, 8, 6, 4, padding=padding, nonlinearity="smooth" if smooth else "hard", replicate=replicate
        )
        x = torch.randn(2, 4, 21, 26, requires_grad=True)
        program = torch.export.export(layer, (x.detach(),))
        assert [str(n.target) for n in program.graph.nodes].count("rnnpool.pool.default") == 1
        assert torch.equal(program.module()(x), layer(x))
        weights = (*layer.rnn1.weights(), *layer.rnn2.weights())
        arguments = (x, *weights, [6, 6], [4, 4], [padding] * 4, smooth, replicate)
        torch.library.opcheck(
            pool, arguments, test_utils=("test_schema", "test_autograd_registration", "test_faketensor")
        )
        leaves = [x, *layer.parameters()]
        grads = [torch.autograd.grad(y.square().sum(), leaves) for y in (layer(x), pool(*arguments))]
        assert all(torch.allclose(a, b) for a, b in zip(*grads, strict=True))


def test_mobilenet_v2() -> None:
    """Seventeen inverted residuals in one operator each: the first has no expansion."""
    net, names = own_network.module(own_network.Source(NETWORKS / "mobilenet_v2.py", "net"))
    norm = own_network.normalization(names, None, None)
    blocks = [Kind.INVERTED_RESIDUAL] * 16
    kinds = (Kind.CONV, Kind.DEPTHWISE, *blocks, Kind.CONV, *ENDS)
    found = close(net, *kinds, shape=(64, 64, 3), norm=norm)
    assert found.arena < 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three classes."""
    path = tmp_path_factory.mktemp("pictures")
    for i, pixels in enumerate(pictures(24, 60, 80, 3)):
        (path / "abc"[i % 3]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path / "abc"[i % 3] / f"{i}.png")
    return path


def test_the_command_and_micropython(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, data = tmp_path / "net.rnnp", ["--data", str(folder), "--size", "48x64"]
    command.main([f"{NETWORKS / 'plain.py'}:net", *data, "-o", str(out)])
    said = capsys.readouterr().out
    assert "7 operators, 48 x 64 x 3 to 3 labels (a, b, c)" in said and "(pixel / 255 - 0.5) / 0.5" in said
    engine = Engine(out.read_bytes())
    assert engine.golden_check() and "same answer" in said
    if not MICROPYTHON.exists():
        pytest.skip(f"no {MICROPYTHON}: make unix")
    pixels = pictures(1, 48, 64, 3, seed=9)[0]
    (tmp_path / "frame.raw").write_bytes(pixels.tobytes())
    script = f"""
import rnnpool
model = rnnpool.Model({str(out)!r})
with open({str(tmp_path / "frame.raw")!r}, "rb") as file:
    found = model.classify(file.read(), width=64, height=48, format=rnnpool.RGB888)
print(model.selftest(), [round(p * 32768) for p in found])
"""
    done = subprocess.run([str(MICROPYTHON), "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == f"True {engine.classify(pixels)}"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("net = 3", [], "net of .*mine.py is a int, not an nn.Module"),
        ("import torch.nn\nother = torch.nn.Linear(1, 1)", [], "has no 'net'; it has other"),
        ("import sys\nsys.exit('no weights')", [], r"mine\.py, line 2: SystemExit: no weights"),
        ("import nothing_of_that_name", [], r"mine\.py, line 1: ModuleNotFoundError"),
        ("", ["--size", "12"], "HEIGHTxWIDTH"),
        (
            "from torch import nn\nnet = nn.Flatten()",
            ["--size", "96x4096"],
            "--size 96x4096: .* up to 2048 pixels a side",
        ),
        ("from torch import nn\nnet = nn.Flatten()", [], "say the size of the network's input"),
        ("from torch import nn\nnet = nn.Flatten()", ["--size", "8x8"], "give --mean and --std"),
        ("from torch import nn\nnet = nn.Flatten()", ["--size", "8x8", "--mean", "a", "--std", "1"], "mean must be"),
        ("from torch import nn\nnet = nn.Flatten()", ["--size", "8x8", "--mean", "0", "--std", "0"], "std must be"),
        (
            "import torch\nfrom torch import nn\nnet = nn.Flatten()\nexample_input = torch.zeros(1, 3, 8, 8)",
            ["--gray"],
            "--gray is for a network of one channel, example_input has 3",
        ),
        ("", ["--labels", "cat,cat"], "label 2 of cat,cat is 'cat' again"),
    ],
)
def test_mistakes_get_a_sentence(
    text: str, options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(SystemExit) as caught:
        command.main([f"{tmp_path / 'mine.py'}:net", "--data", str(folder), "-o", str(tmp_path / "x.rnnp"), *options])
    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "x.rnnp").exists()


def test_one_picture_is_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))")
    (tmp_path / "data").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "b.png").write_bytes(b"x")
    line = [f"{tmp_path / 'mine.py'}:net", "--data", str(tmp_path / "data"), "-o", str(tmp_path / "x.rnnp")]
    with pytest.raises(SystemExit):
        command.main([*line, "--size", "8x8", "--mean", "0", "--std", "1"])
    assert re.search(r"a single picture \(.*b\.png can't be read .*\): ranges are chosen", capsys.readouterr().err)


def test_gray_pictures_for_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))")
    for i, pixels in enumerate(pictures(4, 8, 8, 3)):
        Image.fromarray(pixels).convert("L").save(tmp_path / f"{i}.png")
    line = [f"{tmp_path / 'mine.py'}:net", "--data", str(tmp_path), "-o", str(tmp_path / "x.rnnp"), "--size", "8x8"]
    command.main([*line, "--mean", "0", "--std", "1"])
    assert "note            all of these pictures are gray, the network takes colours" in capsys.readouterr().out


def test_labels_are_counted_before_ranges_are_chosen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))")
    line = [f"{tmp_path / 'mine.py'}:net", "--data", str(folder), "-o", str(tmp_path / "x.rnnp"), "--labels", "a,b,c"]
    with pytest.raises(SystemExit):
        command.main([*line, "--size", "8x8", "--mean", "0", "--std", "1"])
    assert capsys.readouterr().err == "export: 3 labels, the network has 2 outputs\n"  # no bar of progress


def test_the_table_of_operations_is_current() -> None:
    assert table() in (ROOT / "docs" / "own_network.md").read_text(), (
        "python -m rnnpool_training.compile.supported: put what it prints into docs/own_network.md"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mine.py", r"mine\.py: say which network in it, .*mine\.py:NAME"),
        ("mine.py:", r"mine\.py: say which network in it, .*mine\.py:NAME"),
        ("mine.onnx", r"mine\.onnx: export takes PyTorch's modules; save it as an int8 \.tflite"),
        ("mine.tflite", r"mine\.tflite: rnnpool convert takes TFLite files"),
        ("mine.pth", r"mine\.pth is a state dict of 2 tensors .*; a network of your own is FILE\.py:NAME"),
    ],
)
def test_networks_of_other_kinds(source: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("mine.py", "mine.onnx", "mine.tflite"):
        (tmp_path / name).touch()
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "mine.pth")
    with pytest.raises(SystemExit) as caught:
        command.main([str(tmp_path / source), "--data", str(tmp_path), "-o", str(tmp_path / "x.rnnp")])
    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err)
