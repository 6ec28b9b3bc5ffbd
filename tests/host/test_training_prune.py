"""A detector with fewer channels, its projections fitted to what the larger one gave."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from detectors import detector  # noqa: E402

from rnnpool_training import prune  # noqa: E402
from rnnpool_training.detector import load_float, save_float  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402
from rnnpool_training.network import NETWORKS, Detector, InvertedResidual  # noqa: E402
from rnnpool_training.warm_start import warm_start  # noqa: E402

LARGE, SMALL = (replace(NETWORKS[name], height=96, width=128) for name in ("face-m4-late", "face-m4-pruned"))


def test_what_other_channels_know_is_not_lost() -> None:
    source = detector(LARGE)
    block, twins = source.blocks[3], range(0, 32, 2)
    assert isinstance(block, InvertedResidual)
    with torch.no_grad():  # sixteen channels whose neighbour says the same
        for unit in (block.expand, block.depthwise):
            for values in unit.state_dict().values():
                if values.dim():
                    for i in twins:
                        values[i + 1] = values[i]
        block.project.conv.weight[:, list(twins)] *= 0.01  # those that go
    pictures = [torch.rand(2, 1, 96, 128, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in range(3)]
    model, plain = Detector(SMALL), Detector(SMALL)
    warm_start(plain, source)
    ((before, after),) = prune.prune(source, model, pictures)
    assert after < 1e-3 * before
    x = torch.rand(1, 1, 96, 128) * 2 - 1
    with torch.no_grad():
        wanted, given, worse = source(x), model(x), plain.eval()(x)
    assert (given - wanted).abs().max() < 0.1 * (worse - wanted).abs().max()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "data", 4, seed=3)
    monkeypatch.setitem(NETWORKS, "face-m4-pruned", SMALL)
    save_float(tmp_path / "large.pt", LARGE, detector(LARGE).state_dict())
    command = ["--network", "face-m4-pruned", "--data", str(tmp_path / "data"), "-o"]
    for name in ("a.pt", "b.pt"):
        prune.main([str(tmp_path / "large.pt"), *command, str(tmp_path / name)])
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    assert [b.expanded for b in load_float(tmp_path / "a.pt").config.blocks] == [96, 80, 64, 112, 64]
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    (missed,) = said["part of each smaller block's variance that is missed"]
    assert 0 < missed["after"] < missed["before"]
    save_float(
        tmp_path / "other.pt",
        replace(LARGE, blocks=LARGE.blocks[:2]),
        Detector(replace(LARGE, blocks=LARGE.blocks[:2])).state_dict(),
    )
    with pytest.raises(SystemExit):
        prune.main([str(tmp_path / "other.pt"), *command, str(tmp_path / "c.pt")])
    assert "2 blocks of the checkpoint cannot become 5" in capsys.readouterr().err
