"""tools/show_model.py: what it says of a blob is what the blob and the engine say."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import networks
import numpy as np
import pytest
from load_tool import ROOT, load_tool
from PIL import Image

from rnnpool_training import blob, model_page
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format

show_model = load_tool("show_model")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.rnnp"
    blob.save(networks.segmented(1), file)
    return file


def test_text(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_model.main([str(path)])
    text = capsys.readouterr().out
    engine = Engine(path.read_bytes())
    assert re.search(r"^name +segmented 1$", text, re.M)
    assert re.search(r"^input +32x40x3 ", text, re.M)
    assert re.search(rf"^size +{path.stat().st_size:,} bytes$", text, re.M)
    assert re.search(rf"^arena +{engine.arena_size():,} bytes for a frame of the model's own size$", text, re.M)
    assert re.search(rf"^multiply-adds +{sum(op.macs for op in engine.ops()):,}$", text, re.M)
    assert re.search(r"^golden check +0x[0-9a-f]{8} from seed \d+: right$", text, re.M)
    for i, op in enumerate(engine.ops()):
        shape = "x".join(map(str, op.shape))
        assert re.search(rf"^ *{i}  \w+ +\w+ +{shape} +[\d,]+ +{op.macs:,} +{op.arena:,}  ", text, re.M), i
    for region in engine.regions():
        assert re.search(rf"^ *{region.offset:,} +{region.size:,} +{region.first}[-\d]*  .*{region.what}$", text, re.M)
    assert text.count("materialized") == 2


def test_regions_of_a_segment_do_not_overlap_and_end_with_the_arena(path: Path) -> None:
    engine = Engine(path.read_bytes())
    for frame in (None, (640, 480, Format.RGB888)):
        regions = engine.regions(frame)
        assert max(r.offset + r.size for r in regions) == engine.arena_size(frame)
        for i, a in enumerate(regions):
            for b in regions[:i]:
                together = a.first <= b.last and b.first <= a.last
                assert not together or a.offset + a.size <= b.offset or b.offset + b.size <= a.offset, (a, b)


def test_wrong_golden_value_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = networks.tiny(1)
    model.golden_crc ^= 1
    file = tmp_path / "wrong.rnnp"
    blob.save(model, file)
    show_model.main([str(file)])
    assert "WRONG" in capsys.readouterr().out


def test_picture(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "arena.png"
    show_model.main([str(path), "--frame", "100x90", "--format", "RGB565", "--picture", str(picture)])
    assert "bytes for a 100x90 RGB565 frame" in capsys.readouterr().out
    with Image.open(picture) as image:
        assert min(image.size) > 500
        red, green, blue = np.asarray(image.convert("RGB"), np.int64).reshape(-1, 3).T
    _, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    assert (counts > len(red) / 200).sum() >= 5  # areas of operators, not letters


@pytest.mark.parametrize("content", [b"", b"no model", b"RNNP" + bytes(200)])
def test_no_model(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.rnnp"
    file.write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        show_model.main([str(file)])
    assert "bad.rnnp: " in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        show_model.main([str(tmp_path / "none.rnnp")])
    assert "none.rnnp: No such file or directory\n" in capsys.readouterr().err


@pytest.mark.parametrize("frame", ["320", "0x1", "4097x1", "axb"])
def test_no_frame(frame: str, path: Path) -> None:
    with pytest.raises(SystemExit):
        show_model.main([str(path), "--frame", frame])


def test_comparison_of_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, picture = tmp_path / "model.rnnp", tmp_path / "plans.png"
    blob.save(networks.classifier(1), model)
    show_model.main([str(model), "--compare", str(picture)])
    text = capsys.readouterr().out
    assert re.search(r"^ 5  global_average_pool +4 +1x1x24 ", text, re.M)
    assert re.search(r"^ 6  dense +5 +1x1x3 ", text, re.M)
    found = {
        name: int(n.replace(",", ""))
        for name, n in re.findall(r"^(layer by layer|streaming|planned) +([\d,]+)", text, re.M)
    }
    plans = show_model.Planner(blob.load(model))
    assert found == {
        "layer by layer": plans.layer_by_layer().arena,
        "streaming": plans.streaming().arena,
        "planned": plans.best().arena,
    }
    with Image.open(picture) as image:
        assert image.width > 1000 and len(image.convert("RGB").getcolors(1 << 24)) > 10


def page_of(model: blob.Model, tmp_path: Path, *arguments: object) -> str:
    file, page = tmp_path / "shown.rnnp", tmp_path / "page.html"
    blob.save(model, file)
    show_model.main([str(file), "--html", str(page), *map(str, arguments)])
    return page.read_text()


@pytest.mark.parametrize("make", [networks.tiny, networks.segmented, networks.classifier, networks.others])
def test_page_of_any_model(tmp_path: Path, make) -> None:
    model = make(1)
    page = page_of(model, tmp_path)
    ElementTree.fromstring(re.sub(r"<(meta[^>]*)>", r"<\1/>", page.removeprefix("<!doctype html>")))  # well formed
    engine = Engine(blob.write(model))
    assert f"{engine.arena_size():,} bytes for frames of its own size" in page
    assert "estimated" in page or "not counted" in page
    for region in engine.regions():
        assert f"{region.what}: {region.size:,} bytes at {region.offset:,}" in page
    for i, (op, info) in enumerate(zip(model.ops, engine.ops(), strict=True)):
        assert f'<td class="left">{i} {op.kind.name.lower()}</td><td>{"x".join(map(str, info.shape))}</td>' in page
        assert page.count('<path class="edge"') == sum(len(op.reads) for op in model.ops)


def test_page_has_the_cycles_that_were_counted(tmp_path: Path) -> None:
    model = blob.load(ROOT / "models" / "face.rnnp")
    figures = json.loads((ROOT / "docs" / "benchmarks.json").read_text())["models"]["face"]
    page = page_of(model, tmp_path)
    assert f"{figures['cycles'] / 1e6:.1f} M cycles, {figures['cycles'] / 168e6:.2f} s at 168 MHz (counted" in page
    for op in figures["operators"][:-1]:
        assert f"</span>{op['cycles']:,}</td>" in page
    # Those of a file of one's own, found by the operators and not by a name.
    for op in figures["operators"]:
        op["cycles"] *= 2
    figures["cycles"] *= 2
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"models": {"x": figures}}))
    assert f"{figures['cycles'] / 1e6:.1f} M cycles" in page_of(model, tmp_path, "--bench", own)


def test_page_refuses_figures_of_another_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, page = tmp_path / "shown.rnnp", tmp_path / "page.html"
    blob.save(networks.tiny(1), file)
    for content, sentence in (("{}", "is no file of figures"), ('{"models": {}}', "has no figures of this model")):
        (tmp_path / "own.json").write_text(content)
        with pytest.raises(SystemExit, match="2"):
            show_model.main([str(file), "--html", str(page), "--bench", str(tmp_path / "own.json")])
        assert sentence in capsys.readouterr().err
        assert not page.exists()


def test_rows_over_time_are_the_rows_of_the_schedule() -> None:
    model = networks.segmented(1)
    made = model_page.rows_over_time(Engine(blob.write(model)))
    assert made.shape == (model.height, len(model.ops))
    assert (np.diff(made, axis=0) >= 0).all()
    assert list(made[-1]) == [info.shape[0] for info in Engine(blob.write(model)).ops()]
