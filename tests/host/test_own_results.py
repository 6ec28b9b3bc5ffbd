"""Results of networks of one's own beyond classes: numbers, maps and boxes, in the engine and in MicroPython."""

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from load_tool import ROOT  # noqa: E402
from own_networks import PLAIN, block, conv, lively, pictures  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from rnnpool_training import export as command  # noqa: E402
from rnnpool_training import reference  # noqa: E402
from rnnpool_training.blob import Kind, Task  # noqa: E402
from rnnpool_training.compile.network import Exported, Network, export  # noqa: E402
from rnnpool_training.compile.results import Boxes, read_anchors  # noqa: E402
from rnnpool_training.engine import Engine, EngineError  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
SHAPE = (16, 20, 3)
ANCHORS = (((6.0, 6.0), (8.0, 12.0)), ((12.0, 12.0),))
torch.manual_seed(7)  # of the networks in parameters


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random weights on every run."""
    torch.manual_seed(7)


def body() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2, 1), conv(8, 8, 3, 2, 1))


class Detector(nn.Module):
    """Two heads, of 2 anchors at stride 4 and one at stride 8, of three classes."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body, self.next = body(), block(8, 16, 12, 2)
        self.near = nn.Conv2d(8, 2 * (classes + 4), 3, padding=1)
        self.far = nn.Conv2d(12, classes + 4, 1)

    def forward(self, x: Any) -> Any:
        x = self.body(x)
        return self.near(x), self.far(self.next(x))


def made(module: nn.Module, **options: Any) -> Exported:
    held = pictures(12, *SHAPE, seed=2)
    threshold = options.pop("threshold", 0.5)
    network = Network(lively(module, SHAPE), SHAPE, PLAIN, "mine", **options)
    return export(network, pictures(24, *SHAPE), held, threshold=threshold)


def micropython(found: Exported, call: str, folder: Path) -> Any:
    """What `call` gives on the first held picture in MicroPython."""
    if not MICROPYTHON.exists():
        pytest.skip(f"no {MICROPYTHON}: make unix")
    (folder / "net.rnnp").write_bytes(found.data)
    (folder / "frame.raw").write_bytes(pictures(12, *SHAPE, seed=2)[0].tobytes())
    script = f"""
import json, rnnpool
model = rnnpool.Model({str(folder / "net.rnnp")!r})
with open({str(folder / "frame.raw")!r}, "rb") as file:
    frame = file.read()
options = dict(width=20, height=16, format=rnnpool.RGB888)
print(json.dumps([model.selftest(), {call}]))
"""
    done = subprocess.run([str(MICROPYTHON), "-c", script], capture_output=True, text=True, check=True, timeout=120)
    ok, *result = json.loads(done.stdout)
    assert ok
    return result if len(result) > 1 else result[0]


@pytest.mark.parametrize(
    ("tail", "kind", "channels"),
    [
        pytest.param([nn.Conv2d(8, 3, 1)], Kind.CONV, 3, id="segmentation"),
        pytest.param([nn.Conv2d(8, 1, 1), nn.Sigmoid()], Kind.LOOKUP, 1, id="heat-map"),
        pytest.param([block(8, 16, 4)], Kind.INVERTED_RESIDUAL, 4, id="block"),
        pytest.param([nn.MaxPool2d(2), nn.Upsample(scale_factor=2)], Kind.UPSAMPLE, 8, id="upsampled"),
    ],
)
def test_maps(tail: list[nn.Module], kind: Kind, channels: int, tmp_path: Path) -> None:
    """The engine's map is the network's, to a step or two, at every pixel."""
    found = made(nn.Sequential(body(), *tail))
    model = found.model
    assert model.task == Task.MAP and model.ops[-1].kind == kind and model.shapes()[-1][2] == channels
    assert len(model.labels) == channels and model.result_scale > 0
    assert found.check.mean < model.result_scale and found.check.worst < 0.2 * max(found.check.largest, 0.1)
    frame = pictures(12, *SHAPE, seed=2)[0]
    mine = Engine(found.data).run(frame, taps=True).outputs()[-1]
    np.testing.assert_array_equal(mine, reference.run_input(model, frame)[-1])
    values, shape, scale, zero = micropython(
        found, "list(model.run(frame, **options)), model.output_shape, model.output_scale, model.output_zero_point",
        tmp_path,
    )  # fmt: skip
    assert values == mine.reshape(-1).tolist() and tuple(shape) == mine.shape
    assert scale == pytest.approx(model.result_scale) and zero == model.ops[-1].out_zero_point


def test_numbers(tmp_path: Path) -> None:
    """Regression: int16 values, whose scale the board says."""
    module = nn.Sequential(body(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))
    found = made(module, kind="numbers")
    assert found.model.labels == ["number"] and found.check.worst < 0.1 * found.check.largest
    frame = torch.from_numpy(pictures(12, *SHAPE, seed=2)[:1]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        exact = float(module(frame))
    values, scale, zero = micropython(
        found, "list(model.run(frame, **options)), model.output_scale, model.output_zero_point", tmp_path
    )
    assert scale * (values[0] - zero) == pytest.approx(exact, abs=0.1 * found.check.largest)
    rows = "model.begin(**options), model.feed(frame), list(model.result())"
    assert micropython(found, rows, tmp_path)[2] == values
    with pytest.raises(subprocess.CalledProcessError) as caught:
        micropython(found, "model.classify(frame, **options)", tmp_path)
    assert NUMBERS in caught.value.stderr + caught.value.stdout
    with pytest.raises(subprocess.CalledProcessError) as caught:
        micropython(found, "model.detect(frame, **options)", tmp_path)
    assert "this model gives numbers, it does not detect: run()" in caught.value.stderr + caught.value.stdout


NUMBERS = "ValueError: this model gives numbers, no probabilities: run()"


def test_several_numbers(tmp_path: Path) -> None:
    """The blob knows that they are no classes: nobody gets a softmax of them."""
    found = made(nn.Sequential(body(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)), kind="numbers")
    assert found.model.labels == ["number 0", "number 1"] and found.model.numbers
    run = Engine(found.data).run(pictures(12, *SHAPE, seed=2)[0])
    with pytest.raises(EngineError, match="numbers"):
        run.probabilities()
    values, task = micropython(found, "list(model.run(frame, **options)), model.task", tmp_path)
    assert (
        task == "numbers"
        and values == reference.run_input(found.model, pictures(12, *SHAPE, seed=2)[0])[-1].reshape(-1).tolist()
    )
    streamed = "model.begin(**options), model.feed(frame), list(model.result())"
    assert micropython(found, streamed, tmp_path)[2] == values
    with pytest.raises(subprocess.CalledProcessError) as caught:
        micropython(found, "model.classify(frame, **options)", tmp_path)
    assert NUMBERS in caught.value.stderr + caught.value.stdout


def test_as_much_ram_as_there_is() -> None:
    """export --ram: channels are expanded again until it fits; the results are the same."""
    torch.manual_seed(3)
    module = nn.Sequential(body(), block(8, 48, 8), block(8, 48, 8), nn.Conv2d(8, 3, 1))
    free = made(copy.deepcopy(module))
    small = made(copy.deepcopy(module), ram=free.arena - 1)
    assert small.arena < free.arena and small.check == free.check
    assert any(op.recompute for op in small.model.ops if op.kind == Kind.INVERTED_RESIDUAL)
    with pytest.raises(InputError, match=r"100 bytes of arena are too few: the smallest plan that was found has"):
        made(module, ram=100)


def test_several_labels_at_once(tmp_path: Path) -> None:
    """A probability for each by itself: a vector as it is."""
    module = nn.Sequential(body(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3), nn.Sigmoid())
    with pytest.raises(InputError, match=r"3 probabilities, each by itself.*--result map"):
        made(module)
    found = made(module, kind="map", labels=["a", "b", "c"])
    assert found.model.shapes()[-1] == (1, 1, 3) and found.model.labels == ["a", "b", "c"]
    assert found.check.worst < 0.05
    values = micropython(found, "list(model.run(frame, **options))", tmp_path)
    assert (
        values == Engine(found.data).run(pictures(12, *SHAPE, seed=2)[0], taps=True).outputs()[-1].reshape(-1).tolist()
    )


def test_boxes(tmp_path: Path) -> None:
    """A detector of three classes: anchors, steps, and nearly all boxes of the network, by the engine as well."""
    found = made(Detector(), boxes=Boxes(ANCHORS, (0.1, 0.2)), labels=["a", "b", "c"], threshold=0.5)
    heads = [op for op in found.model.ops if op.kind == Kind.DETECT_HEAD]
    assert [(h.step, h.anchors.tolist(), h.classes) for h in heads] == [
        (4, [[96, 96], [128, 192]], 3), (8, [[192, 192]], 3)
    ]  # fmt: skip
    said = dict(found.check.said)["same boxes"]
    both, floats, others = (int(n) for n in re.match(r"(\d+) of the (\d+) .* and (\d+) others", said).groups())  # type: ignore[union-attr]
    assert floats > 5 and both >= floats - 1 - 0.05 * floats and others <= 1 + 0.05 * floats, said
    assert found.check.mean < 0.01
    frame = pictures(12, *SHAPE, seed=2)[0]
    right = [(d.x, d.y, d.w, d.h, d.label) for d in Engine(found.data).run(frame).detections()]
    assert right and {label for *_, label in right} <= {0, 1, 2}
    boxes = micropython(found, "[list(box) for box in model.detect(frame, **options)]", tmp_path)
    assert [(x, y, w, h, label) for x, y, w, h, _, label in boxes] == right[: len(boxes)] and boxes


class Separate(Detector):
    """The same with logits and boxes by convolutions of their own, of different windows."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.near, self.near_boxes = nn.Conv2d(8, 2 * classes, 1), nn.Conv2d(8, 2 * 4, 3, padding=1)
        self.far, self.far_boxes = nn.Conv2d(12, classes, 3, padding=1), nn.Conv2d(12, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = self.body(x)
        y = self.next(x)
        return [(self.near(x), self.near_boxes(x)), (self.far(y), self.far_boxes(y))]


def test_logits_and_boxes_apart() -> None:
    found = made(Separate(), boxes=Boxes(ANCHORS, (0.1, 0.2)))
    heads = [op for op in found.model.ops if op.kind == Kind.DETECT_HEAD]
    assert [(h.classes, h.window, h.out_channels) for h in heads] == [(3, (3, 3), 14), (3, (3, 3), 7)]
    assert found.check.mean < 0.01 and found.check.largest > 0.1


@pytest.mark.parametrize("background", ["first", "last"])
@pytest.mark.parametrize("pairs", [False, True])
def test_one_class_and_a_background(background: str, pairs: bool) -> None:
    """The sigmoid of the difference of both logits is the softmax."""

    class Faces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.scores, self.boxes = body(), nn.Conv2d(8, 2 * 2, 1), nn.Conv2d(8, 2 * 4, 3, padding=1)
            self.head = nn.Conv2d(8, 2 * 6, 1)

        def forward(self, x: Any) -> Any:
            x = self.body(x)
            return [self.scores(x), self.boxes(x)] if pairs else self.head(x)

    net = Faces()
    anchors = (((6.0, 6.0), (8.0, 12.0)),)
    found = made(net, boxes=Boxes(anchors, (1.0, 1.0), background=background))
    assert found.model.labels == ["object"] and found.model.ops[-1].out_channels == 2 * 5
    frame = pictures(12, *SHAPE, seed=2)[0]
    with torch.no_grad():
        given = net(torch.from_numpy(frame[None]).permute(0, 3, 1, 2) / 127.5 - 1)
    logits = given[0].reshape(2, 2, 4, 5) if pairs else given.reshape(2, 6, 4, 5)[:, :2]
    wanted = torch.softmax(logits, 1)[:, 1 if background == "first" else 0].permute(1, 2, 0).numpy()
    mine = Engine(found.data).run(frame, taps=True).outputs()[-1].reshape(4, 5, 2, 5)[..., 0] / 4096
    np.testing.assert_allclose(1 / (1 + np.exp(-mine)), wanted, atol=0.02)


@pytest.mark.parametrize("background", ["first", "last"])
@pytest.mark.parametrize("pairs", [False, True])
def test_several_classes_and_a_background(background: str, pairs: bool) -> None:
    """A score is the class's part of its own and the background's; the class is the softmax's."""
    net = (Separate if pairs else Detector)(4)
    found = made(net, boxes=Boxes(ANCHORS, (0.1, 0.2), background=background), labels=["a", "b", "c"])
    heads = [op for op in found.model.ops if op.kind == Kind.DETECT_HEAD]
    assert [(h.classes, h.out_channels) for h in heads] == [(3, 14), (3, 7)]
    frame = pictures(12, *SHAPE, seed=2)[0]
    with torch.no_grad():
        given = net(torch.from_numpy(frame[None]).permute(0, 3, 1, 2) / 127.5 - 1)
    near = given[0][0].reshape(2, 4, 4, 5) if pairs else given[0].reshape(2, 8, 4, 5)[:, :4]
    p = torch.softmax(near, 1).permute(2, 3, 0, 1).double().numpy()
    back, own = (p[..., :1], p[..., 1:]) if background == "first" else (p[..., 3:], p[..., :3])
    places = {id(op): i for i, op in enumerate(found.model.ops)}
    outputs = Engine(found.data).run(frame, taps=True).outputs()
    mine = outputs[places[id(heads[0])]].reshape(4, 5, 2, 7)[..., :3] / 4096
    scores = 1 / (1 + np.exp(-mine))
    np.testing.assert_allclose(scores, own / (own + back), atol=0.02)
    best = np.sort(own, -1)
    clear = best[..., -1] > 1.1 * best[..., -2]  # others may be rounded the other way
    assert clear.any() and (scores.argmax(-1) == own.argmax(-1))[clear].all()
    assert any("scores are p / (p + the background's p)" in note for note in found.notes)
    assert "same boxes" in dict(found.check.said)


def test_boxes_are_compared_with_the_softmax() -> None:
    """Two classes that are equally likely: 0.47 each in the softmax, 0.89 without the other one."""

    def one(bias: list[float]) -> dict[str, str]:
        head = nn.Conv2d(8, 7, 1)
        nn.init.zeros_(head.weight)
        with torch.no_grad():
            head.bias.copy_(torch.tensor([0.0, *bias, 0.0, 0.0, 0.0, 0.0]))
        boxes = Boxes((((4.0, 4.0),),), (0.1, 0.2), background="first")
        return dict(made(nn.Sequential(body(), head), boxes=boxes).check.said)

    assert re.match("0 of the 0 of the network on 12 pictures, and 240 others", one([2.0, 2.0])["same boxes"])
    clear = one([2.0, -4.0])
    assert re.match("240 of the 240 of the network on 12 pictures, and 0 others", clear["same boxes"])
    assert "beyond 8" not in clear and one([9.0, 12.0])["beyond 8"].startswith("240 places where two or more")


def test_boxes_are_where_the_formula_says() -> None:
    """One anchor a cell whose biases alone say the box: centre and sides in pixels."""
    head = nn.Conv2d(8, 5, 1)
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(torch.tensor([2.0, 1.0, -1.0, 0.5, -0.5]))
    found = made(nn.Sequential(body(), head), boxes=Boxes((((6.0, 4.0),),), (0.1, 0.2)))
    outputs = reference.run_input(found.model, pictures(1, *SHAPE)[0])
    raw = [d.raw for d in reference.detect_outputs(found.model, outputs, 20, 16)]
    centre, sides = (4 * 2.5 + 0.6, 4 * 1.5 - 0.4), (6 * np.exp(0.1), 4 * np.exp(-0.1))
    wanted = [centre[0] - sides[0] / 2, centre[1] - sides[1] / 2, centre[0] + sides[0] / 2, centre[1] + sides[1] / 2]
    assert any(np.allclose(np.array(box) / 16, wanted, atol=0.1) for box in raw)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (Detector(), {}, r"2 results \(14x4x5, 7x2x3\): of a detector say the anchors"),
        (Detector(), {"boxes": Boxes((*ANCHORS, *ANCHORS), (1, 1))}, "gives 2 results, anchors are of 4 maps"),
        (Detector(), {"boxes": Boxes(ANCHORS[:1], (1, 1))}, r"maps of 14x4x5 and 7x2x3 for 2 anchors: logits"),
        (Detector(), {"boxes": Boxes((ANCHORS[1], ANCHORS[0]), (1, 1))}, r"for 2 anchors: channels must be anchors"),
        (Detector(), {"boxes": Boxes(ANCHORS, (1, 1), background=None)}, "3 scores an anchor: .*--background first"),
        (Detector(1), {"boxes": Boxes(ANCHORS, (1, 1), background="last")},
         "gives 1 score an anchor, --background last is for a background and a class or more"),
        (nn.Sequential(body(), nn.Conv2d(8, 2, 1)), {"kind": "classes"}, "result is a map of 2x4x5, not classes"),
        (nn.Sequential(body(), nn.Conv2d(8, 5, 1), nn.Sigmoid()), {"boxes": Boxes(ANCHORS[1:], (1, 1))},
         r"2 \(Sigmoid\).*a head gives logits"),
        (nn.Sequential(body(), nn.Conv2d(8, 5, 1), nn.Softmax(1)), {"boxes": Boxes(ANCHORS[1:], (1, 1))},
         r"2 \(Softmax\).*a head gives logits"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(module: nn.Module, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(Network(module.eval(), SHAPE, PLAIN, "mine", **options), pictures(2, *SHAPE), pictures(1, *SHAPE))


@pytest.mark.parametrize("given", [[], [[]], [[0]], [[(4, 4, 4), "x"]], 5, [[(3, float("nan"))]]])
def test_anchors_that_are_none(given: Any) -> None:
    with pytest.raises(InputError, match="anchors"):
        read_anchors(given)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Anchors from the command line; what they mean is asked for."""
    for i, pixels in enumerate(pictures(6, *SHAPE)):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "mine.py").write_text("from test_own_results import Detector as net\nmean = std = 0.5\n")
    line = [f"{tmp_path / 'mine.py'}:net", "--data", str(tmp_path), "--size", "16x20", "-o", str(tmp_path / "n.rnnp")]
    with pytest.raises(SystemExit):
        command.main([*line, "--background", "first"])
    assert "--background: of detectors, give --anchors, too" in capsys.readouterr().err
    line += ["--anchors", "6,8x12", "12"]
    with pytest.raises(SystemExit):
        command.main([*line, "--result", "numbers"])
    assert "--anchors: of detectors, not of --result numbers" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(line)
    assert "variances can't be seen" in capsys.readouterr().err
    line += ["--variances", "0.1,0.2", "--labels", "a,b,c"]
    with pytest.raises(SystemExit):
        command.main(line)
    assert "gives 3 scores an anchor: if they are 3 classes" in capsys.readouterr().err
    command.main([*line, "--background", "none"])
    assert "same boxes" in capsys.readouterr().out
    assert Engine((tmp_path / "n.rnnp").read_bytes()).golden_check()


def test_channels_without_a_use_are_left_out() -> None:
    """Of a map none of the result's; what is left gives the same map."""
    module = nn.Sequential(body(), nn.Conv2d(8, 12, 1), nn.ReLU(), nn.Conv2d(12, 6, 1))
    with torch.no_grad():
        module[1].weight[:5].zero_()
        module[1].bias[:5] = 0.25
        module[3].weight[:2].zero_()
    found = made(module)
    assert any(re.match("4 channels that are constant", note) for note in found.notes), found.notes
    assert [op.out_channels for op in found.model.ops if hasattr(op, "weight")] == [8, 8, 8, 6]
    assert found.check.mean < 2 * found.model.result_scale


def test_fine_tuning_brings_the_map_nearer() -> None:
    """Weights of very different sizes in a channel, which rounding hurts: the network is its own teacher."""
    module = nn.Sequential(body(), block(8, 24, 8), conv(8, 16, 3, 1, 1), nn.Conv2d(16, 2, 1))
    network = Network(lively(module, SHAPE), SHAPE, PLAIN, "mine")
    chosen, held = pictures(24, *SHAPE), pictures(12, *SHAPE, seed=2)
    found = [export(network, chosen, held, steps=steps) for steps in (0, 200)]
    (note,) = found[1].notes
    after, before = (float(n) for n in re.findall(r"is ([\d.e-]+), ([\d.e-]+) before$", note)[0])
    assert after < before and "in 200 steps" in note
    assert found[1].check.mean < found[0].check.mean, (found[0].check, found[1].check)
