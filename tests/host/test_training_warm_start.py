"""Starting a detector from a trained one of another shape."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from detectors import detector  # noqa: E402

from rnnpool_training.network import NETWORKS, BlockConfig, Detector, NetworkConfig  # noqa: E402
from rnnpool_training.warm_start import warm_start  # noqa: E402

CONFIG = NetworkConfig(
    name="test", height=32, width=32, stem=4, patch=4, patch_stride=2, hidden1=8, hidden2=8,
    blocks=(BlockConfig(16, 12, 1, (10.0,)), BlockConfig(12, 12, 1), BlockConfig(12, 16, 2, (20.0,))),
)  # fmt: skip


def test_the_same_shape_gives_the_same_output() -> None:
    source, model = detector(CONFIG), Detector(CONFIG).eval()
    warm_start(model, source)
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(model(x), source(x))


def test_channels_that_count_for_nothing_go_first() -> None:
    source = detector(CONFIG)
    dead = [1, 5, 6, 15]
    with torch.no_grad():
        source.blocks[0].project.conv.weight[:, dead] = 0  # type: ignore[union-attr,index]
    small = replace(CONFIG, blocks=(replace(CONFIG.blocks[0], expanded=12), *CONFIG.blocks[1:]))
    model = Detector(small).eval()
    warm_start(model, source)
    x = torch.rand(2, 1, 32, 32)
    assert torch.allclose(model(x), source(x), atol=1e-5)


def test_what_has_other_blocks_or_heads_is_named() -> None:
    source = detector(CONFIG)
    with pytest.raises(ValueError, match=r"^3 blocks of the checkpoint cannot become 2: "):
        warm_start(Detector(replace(CONFIG, blocks=CONFIG.blocks[:2])), source)
    # The anchor of 10 pixels moves beside that of 20, on a block of 16 channels instead of 12.
    both = replace(CONFIG.blocks[2], anchors=(10.0, 20.0))
    moved = replace(CONFIG, blocks=(replace(CONFIG.blocks[0], anchors=()), CONFIG.blocks[1], both))
    named = r"^heads\.2\.weight, the anchor of 10 pixels: \(12, 3, 3\) of the checkpoint cannot become \(16, 3, 3\)$"
    with pytest.raises(ValueError, match=named):
        warm_start(Detector(moved), source)


def test_new_channels_reach_the_output_with_nothing() -> None:
    source = detector(CONFIG)
    wide = replace(CONFIG, blocks=(replace(CONFIG.blocks[0], expanded=20), *CONFIG.blocks[1:]))
    model = Detector(wide).eval()
    warm_start(model, source)
    x = torch.rand(2, 1, 32, 32)
    assert torch.allclose(model(x), source(x), atol=1e-5)
    model(x).square().sum().backward()
    learning = model.blocks[0].project.conv.weight.grad[:, 16:]  # type: ignore[union-attr,index]
    assert learning.any()  # some of the random ones are dead where this input goes


def test_heads_are_taken_over_by_their_anchors() -> None:
    source = detector(replace(CONFIG, blocks=(*CONFIG.blocks[:2], replace(CONFIG.blocks[2], anchors=(20.0, 30.0)))))
    with torch.no_grad():
        source.blocks[1].project.norm.weight.zero_()  # so that the second block passes on what the first one gives
        source.blocks[1].project.norm.bias.zero_()
    blocks = (
        replace(CONFIG.blocks[0], anchors=()),
        replace(CONFIG.blocks[1], anchors=(10.0,)),
        replace(CONFIG.blocks[2], anchors=(30.0, 20.0)),
    )
    model = Detector(replace(CONFIG, blocks=blocks)).eval()
    warm_start(model, source)
    x = torch.rand(2, 1, 32, 32)
    early, late = source(x), model(x)
    # The last head has two anchors at each of a quarter of the places.
    last = early.shape[1] - 2 * next(iter(source.maps(x))).shape[2:].numel() // 4
    assert torch.allclose(late[:, :last], early[:, :last], atol=1e-5)
    pairs = early[:, last:].reshape(2, -1, 2, 5).flip(2).reshape(2, -1, 5)
    assert torch.allclose(late[:, last:], pairs, atol=1e-5)


def test_an_anchor_that_the_checkpoint_lacks_is_named() -> None:
    blocks = (replace(CONFIG.blocks[0], anchors=(12.0,)), *CONFIG.blocks[1:])
    with pytest.raises(ValueError, match="an anchor of 12 pixels, which the checkpoint lacks"):
        warm_start(Detector(replace(CONFIG, blocks=blocks)), detector(CONFIG))


def test_heads_keep_their_centre_and_cells_lose_zeta_and_nu() -> None:
    source = detector(CONFIG)
    with torch.no_grad():
        for head in source.heads:
            if isinstance(head, torch.nn.Conv2d):
                centre = head.weight[:, :, 1, 1].clone()
                head.weight.zero_()
                head.weight[:, :, 1, 1] = centre
        for cell in (source.pool.rnn1, source.pool.rnn2):
            cell.zeta.fill_(100.0)
            cell.nu.fill_(-100.0)
    blocks = tuple(replace(b, head=1) for b in CONFIG.blocks)
    model = Detector(replace(CONFIG, blocks=blocks, weighted=False)).eval()
    assert not [name for name, _ in model.named_parameters() if "zeta" in name or "nu" in name.split(".")]
    warm_start(model, source)
    x = torch.rand(2, 1, 32, 32)
    assert torch.allclose(model(x), source(x), atol=1e-5)


def test_other_shapes_are_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"stem.conv.weight: \(4, 1, 3, 3\) of the checkpoint cannot become \(8, 1"):
        warm_start(Detector(replace(CONFIG, stem=8)), detector(CONFIG))


def test_named_networks_differ_from_the_first_in_cost_only() -> None:
    anchors = [a for b in NETWORKS["face-m4"].blocks for a in b.anchors]
    for config in NETWORKS.values():
        assert [a for b in config.blocks for a in b.anchors] == anchors
        warm_start(Detector(config), Detector(NETWORKS["face-m4-8x8"]))
