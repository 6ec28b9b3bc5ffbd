"""Single operators: a model split into layers and chained again gives what the model gives."""

import re
import textwrap
from pathlib import Path

import networks
import numpy as np
import pytest
from load_tool import ROOT

from rnnpool_training import blob, layers, reference
from rnnpool_training.blob import BlobError, Task
from rnnpool_training.engine import Engine, EngineError


@pytest.mark.parametrize("make", [networks.tiny, networks.segmented, networks.classifier, networks.face_m4])
def test_a_chain_of_layers_equals_the_model(make) -> None:
    model = make(3)
    pixels = blob.golden_frame(model)
    outputs = reference.run_input(model, pixels)
    maps = [pixels, *outputs]
    found = layers.split(model)
    assert len(found) == len(model.ops)
    for index, op in enumerate(model.ops):
        data = blob.write(found[layers.file_name(model, index)])
        again = blob.read(data)
        assert blob.write(again) == data
        engine = Engine(data)
        assert engine.task == Task.LAYER and engine.input_shape == model.in_shape(index) == again.input_shape
        np.testing.assert_array_equal(engine.layer(maps[op.input]), outputs[index])
        np.testing.assert_array_equal(
            reference.run_input(again, maps[op.input].view(np.uint8))[0], outputs[index], f"operator {index}"
        )
        assert engine.golden_check() and reference.golden_check(again)


def test_rows_come_as_soon_as_they_can() -> None:
    model = networks.tiny(1)
    conv = Engine(blob.write(layers.layer(model, 0)))  # 3x3, stride 2, 24 rows
    run = conv.begin_layer()
    made = 0
    for y in range(24):
        run.push_row(np.zeros(32, np.uint8))
        while run.pull_row() is not None:
            made += 1
        assert made == (y + 1) // 2
    assert run.done


def test_wrong_order_of_calls_is_refused() -> None:
    model = networks.tiny(1)
    engine = Engine(blob.write(layers.layer(model, 1)))  # RNNPool 4x4 stride 2 on 12 rows, a row of padding
    row = np.zeros(16 * 4, np.int8)
    run = engine.begin_layer()
    run.push_row(row)
    with pytest.raises(EngineError, match="state error: pulled: expected 0"):
        run.push_row(row)
    rows = 0
    for _ in range(11):
        while run.pull_row() is not None:
            rows += 1
        run.push_row(row)
    assert not run.done
    while run.pull_row() is not None:
        rows += 1
    assert run.done and rows == 6 == engine.ops()[0].shape[0]
    with pytest.raises(EngineError, match="state error: rows: expected 12, given 13"):
        run.push_row(row)
    with pytest.raises(EngineError, match="argument error: task"):
        run.push(row.view(np.uint8))
    whole = Engine(blob.write(model)).begin(32, 24, reference.Format.GRAY8)
    with pytest.raises(EngineError, match="argument error: task: expected 3, given 1"):
        whole.row_bytes = 32
        whole.push_row(np.zeros(32, np.uint8))


def test_rules_of_layers() -> None:
    model = layers.layer(networks.tiny(1), 1)
    for change, words in (
        ({"max_candidates": 1}, "max_candidates"),
        ({"map_channels": 5}, "w1"),
        ({"ops": model.ops * 2}, "num_ops"),
    ):
        wrong = layers.layer(networks.tiny(1), 1)
        for name, value in change.items():
            setattr(wrong, name, value)
        with pytest.raises(BlobError, match=words):
            blob.write(wrong)


def test_a_head_needs_no_memory_but_its_row() -> None:
    model = networks.face_m4(1)
    for index in (i for i, op in enumerate(model.ops) if isinstance(op, blob.DetectHead)):
        engine = Engine(blob.write(layers.layer(model, index)))
        _, width, channels = engine.ops()[0].shape
        assert {r.what: r.size for r in engine.regions()}["output"] == (2 * width * channels + 7) // 8 * 8


def test_the_operator_of_the_documentation(tmp_path, monkeypatch) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    found = re.search(r"(?m)^    import numpy as np\n(    .*\n|\n)+", text)
    assert found
    monkeypatch.chdir(tmp_path)
    exec(textwrap.dedent(found[0]), {})
    engine = Engine(Path("blur.rnnp").read_bytes())
    assert engine.golden_check()
    pixels = np.random.default_rng(1).integers(0, 256, (120, 160, 1), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(pixels[:, :, 0].astype(int) - 128, (3, 3))
    assert np.abs(engine.layer(pixels)[1:-1, 1:-1, 0] - windows.mean((2, 3))).max() <= 0.51


def test_command(tmp_path, capsys) -> None:
    path = tmp_path / "model.rnnp"
    path.write_bytes(blob.write(networks.classifier(1)))
    layers.main([str(path), "--out", str(tmp_path / "layers")])
    names = sorted(p.name for p in (tmp_path / "layers").iterdir())
    assert names == [
        "00_conv.rnnp",
        "01_rnnpool.rnnp",
        "02_mbconv.rnnp",
        "03_mbconv.rnnp",
        "04_conv.rnnp",
        "05_average_pool.rnnp",
        "06_dense.rnnp",
    ]
    assert "40 x 48 x 3 -> 20 x 24 x 8" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        layers.main([str(tmp_path / "none.rnnp"), "--out", str(tmp_path)])
    assert "none.rnnp" in capsys.readouterr().err


def test_an_operator_of_several_maps_is_refused() -> None:
    model = networks.others(1)
    with pytest.raises(ValueError, match=r"operator 4 \(ADD\) reads 2 maps: it can't run by itself"):
        layers.layer(model, 4)
