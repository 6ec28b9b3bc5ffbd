"""From a network to a .rnnp blob: python -m rnnpool_training.export my_model.py:net --data IMAGES -o net.rnnp.

Any PyTorch network of supported operations (docs/own_network.md); or one of ours: export QUANTIZED.pt -o face.rnnp.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import export_network, files
from .blob import (
    Conv,
    Dense,
    DetectHead,
    GlobalAveragePool,
    InvertedResidual,
    Model,
    Op,
    RNNPool,
    Task,
    write,
)
from .classifier import ClassifierConfig
from .command import command, integer, real
from .compile.cells import cell
from .compile.graph import Cell
from .network import NetworkConfig
from .planner import plan
from .quantize import (
    BOX_FACTORS,
    Activation,
    QuantBlock,
    QuantConv,
    QuantizedClassifier,
    QuantizedDetector,
    QuantTrunk,
    load_any_quantized,
)
from .reference import set_golden
from .rnnpool2d import RNNPool2d

GOLDEN_SEED = 2020


def _conv_weight(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))  # (O, I, K, K) to (O, K, K, I)


def _block(block: QuantBlock, source: int, scale: float, zero_point: int) -> InvertedResidual:
    expanded, filtered, out = (
        (float(a.scale.double()), int(a.zero_point)) for a in (block.expanded, block.filtered, block.out)
    )
    expand = block.expand.integers(scale, zero_point, np.array(expanded[0]))
    depthwise = block.depthwise.integers(expanded[0], expanded[1], np.array(filtered[0]))
    project = block.project.integers(filtered[0], filtered[1], np.array(out[0]))
    residual, bias = None, project.bias
    if block.residual:
        residual = block.residual_weight(torch.tensor(scale)).numpy().astype(np.int32)
        bias = (bias - zero_point * residual).astype(np.int32)
    return InvertedResidual(
        input=source,
        expand_weight=expand.weight[:, :, 0, 0], expand_bias=expand.bias, expand_multiplier=expand.multiplier,
        depthwise_weight=np.ascontiguousarray(depthwise.weight[:, 0].transpose(1, 2, 0)),
        depthwise_bias=depthwise.bias, depthwise_multiplier=depthwise.multiplier,
        project_weight=project.weight[:, :, 0, 0], project_bias=bias, project_multiplier=project.multiplier,
        residual=residual, stride=block.depthwise.stride,
        out_zero_point=out[1], exp_zero_point=expanded[1], dw_zero_point=filtered[1],
        exp_max=_ceiling(*expanded), dw_max=_ceiling(*filtered),
    )  # fmt: skip


def _ceiling(scale: float, zero_point: int) -> int:
    """The int8 value at which ReLU6 clamps (its floor is the zero point, -128)."""
    return min(127, int(np.floor(6.0 / scale + 0.5)) + zero_point)


def _head(
    head: QuantConv, source: int, scale: float, zero_point: int, anchors: tuple[float, ...], step: int
) -> DetectHead:
    factors = np.tile(np.array(BOX_FACTORS), len(anchors)) * 4096
    integers = head.integers(scale, zero_point, 1 / factors, bits=24)
    sizes = np.array([[round(16 * a)] * 2 for a in anchors], dtype=np.uint16)
    return DetectHead(
        input=source, weight=_conv_weight(integers.weight), bias=integers.bias, multiplier=integers.multiplier,
        anchors=sizes, step=step,
    )  # fmt: skip


def _pool(pool: RNNPool2d, source: int, scale: float, height: int, width: int) -> RNNPool:
    """RNNPool on a map (height, width), the output of a convolution with ReLU6 and this scale."""
    (patch_height, patch_width), stride = pool.kernel_size, pool.stride[0]
    smooth = pool.rnn1.nonlinearity == "smooth"
    rows, columns = (height - patch_height) // stride + 1, (width - patch_width) // stride + 1
    return RNNPool(
        input=source, patch_height=patch_height, patch_width=patch_width, stride=stride,
        **cell(Cell(*pool.rnn1.weights()), 1, smooth, scale, 255),
        **cell(Cell(*pool.rnn2.weights()), 2, smooth, 2.0**-15, 32768),
        smooth=smooth,
        pad_bottom=-(-height // stride) - rows if pool.replicate else 0,
        pad_right=-(-width // stride) - columns if pool.replicate else 0,
    )  # fmt: skip


def _convolution(conv: QuantConv, out: Activation, source: int, scale: float, zero_point: int) -> Conv:
    """A convolution with ReLU6."""
    out_scale, out_zero_point = float(out.scale.double()), int(out.zero_point)
    integers = conv.integers(scale, zero_point, np.array(out_scale))
    return Conv(
        input=source, weight=_conv_weight(integers.weight), bias=integers.bias, multiplier=integers.multiplier,
        stride=conv.stride, out_zero_point=out_zero_point, act_max=_ceiling(out_scale, out_zero_point),
    )  # fmt: skip


def _front(model: QuantTrunk, config: NetworkConfig | ClassifierConfig) -> list[Op]:
    """The first convolution and RNNPool. Output: scale 1/128, zero point 0."""
    height, width = (config.height + 1) // 2, (config.width + 1) // 2
    scale = float(model.stem_out.scale.double())
    return [_convolution(model.stem, model.stem_out, 0, 1 / 128, 0), _pool(model.pool, 1, scale, height, width)]


def build(model: QuantizedDetector, threshold: float, iou: float, max_candidates: int, name: str = "") -> Model:
    """The blob's model, with its golden check computed by the integer reference."""
    config = model.config
    ops = _front(model, config)
    source, scale, zero_point, step = len(ops), 1 / 128, 0, 2 * config.patch_stride
    for block, head, block_config in zip(model.blocks, model.heads, config.blocks, strict=True):
        assert isinstance(block, QuantBlock)
        ops.append(_block(block, source, scale, zero_point))
        source, step = len(ops), step * block_config.stride
        scale, zero_point = float(block.out.scale.double()), int(block.out.zero_point)
        if isinstance(head, QuantConv):
            ops.append(_head(head, source, scale, zero_point, block_config.anchors, step))
    result = Model(
        task=Task.DETECTION, name=name or config.name, labels=["face"], height=config.height, width=config.width,
        channels=1, ops=ops, threshold=round(threshold * 32768), iou=round(iou * 32768),
        max_candidates=max_candidates, golden_seed=GOLDEN_SEED,
    )  # fmt: skip
    set_golden(result)
    return result


def build_classifier(model: QuantizedClassifier, threshold: float = 0.5, name: str = "") -> Model:
    """The blob's model, with its golden check. threshold: probability of the last label that counts as a yes.

    No map is kept whole: that is for the planner to say.
    """
    config = model.config
    ops = _front(model, config)
    scale, zero_point = 1 / 128, 0
    for block in model.blocks:
        assert isinstance(block, QuantBlock)
        ops.append(_block(block, len(ops), scale, zero_point))
        scale, zero_point = float(block.out.scale.double()), int(block.out.zero_point)
    ops.append(_convolution(model.last, model.last_out, len(ops), scale, zero_point))
    scale, height, width = float(model.last_out.scale.double()), config.height // 32, config.width // 32
    if model.last_pool is not None:
        ops.append(_pool(model.last_pool, len(ops), scale, height, width))
        scale, zero_point = 1 / 128, 0
    else:
        assert model.vector is not None
        mean, scale, zero_point = scale, float(model.vector.scale.double()), int(model.vector.zero_point)
        multiplier = np.array([np.floor(mean / (scale * height * width) * 2.0**24 + 0.5)]).astype(np.int32)
        ops.append(GlobalAveragePool(input=len(ops), multiplier=multiplier, out_zero_point=zero_point))
    dense = model.dense.integers(scale, zero_point, np.array(1 / 4096), bits=24)
    ops.append(
        Dense(input=len(ops), weight=dense.weight[:, :, 0, 0], bias=dense.bias, multiplier=dense.multiplier)
    )  # fmt: skip
    result = Model(
        task=Task.CLASSIFICATION, name=name or config.name, labels=list(config.labels), height=config.height,
        width=config.width, channels=config.channels, ops=ops, threshold=round(threshold * 32768),
        golden_seed=GOLDEN_SEED,
    )  # fmt: skip
    set_golden(result)
    return result


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH in pixels, such as 96x96, not {text!r}")
    return int(height), int(width)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.export", description=__doc__)
    p.add_argument("source", help="FILE.py:NAME, a network of yours; or a quantized checkpoint")
    p.add_argument("-o", "--out", type=Path, required=True, help="the blob to write")
    p.add_argument("--name", default="", help="name in the blob (default: the network's)")
    p.add_argument("--threshold", type=real(0, 1), default=0.5, help="default score threshold of the blob")
    own = p.add_argument_group("your network", "docs/own_network.md")
    own.add_argument("--data", type=Path, help="a folder of pictures such as the network will see")
    own.add_argument("--size", type=_size, metavar="HxW", help="height and width of the network's input")
    own.add_argument("--gray", action="store_true", help="its input has one channel, not three")
    own.add_argument("--mean", metavar="M[,M,M]", help="its input is (pixel / 255 - mean) / std: one number,")
    own.add_argument("--std", metavar="S[,S,S]", help="or one a channel")
    own.add_argument("--labels", help="a file with a label a line, or labels with commas between them")
    own.add_argument("--pictures", type=integer(1, 100000), default=256, help="that ranges are chosen on (256)")
    shipped = p.add_argument_group("detectors")
    shipped.add_argument("--iou", type=real(0, 1), default=0.4, help="limit of the non-maximum suppression")
    shipped.add_argument("--max-candidates", type=integer(1, 65535), default=200, help="most candidates kept")
    options = p.parse_args(arguments)
    network = export_network.source(options.source)
    if network is not None:
        export_network.run(network, options)
        return
    files.check_output(options.out)
    source = load_any_quantized(options.source)
    if isinstance(source, QuantizedClassifier):
        model = plan(build_classifier(source, options.threshold, options.name))
    else:
        model = build(source, options.threshold, options.iou, options.max_candidates, options.name)
    data = write(model)
    files.write_bytes(options.out, data)
    digest = hashlib.sha256(data).hexdigest()
    print(json.dumps({"blob": str(options.out), "bytes": len(data), "sha256": digest, "golden_crc": model.golden_crc}))


if __name__ == "__main__":
    main()
