"""RNNPool2d and FastGRNN: shared sweeps against the patch-by-patch definition, C++ kernels against PyTorch."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from rnnpool_training import fastgrnn  # noqa: E402
from rnnpool_training.fastgrnn import FastGRNNCell, Sweep  # noqa: E402
from rnnpool_training.kernels import sweep_library  # noqa: E402
from rnnpool_training.rnnpool2d import RNNPool2d  # noqa: E402

needs_kernels = pytest.mark.skipif(sweep_library() is None, reason="no C++ compiler: kernels are not in use")


def results(pool: RNNPool2d, function: Any, x: Any) -> list[Any]:
    """Output and all gradients of a weighted sum of it."""
    pool.zero_grad()
    x = x.clone().requires_grad_()
    y = function(x)
    (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype).view_as(y))).sum().backward()
    return [y.detach(), x.grad, *(p.grad.clone() for p in pool.parameters())]


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 5),
    hidden=st.sampled_from([(8, 16), (16, 8), (3, 5), (16, 16)]),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    stride=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    extra=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    nonlinearity=st.sampled_from(["hard", "smooth"]),
    replicate=st.booleans(),
)
def test_shared_sweeps_equal_the_definition(
    channels: int, hidden: Any, kernel: Any, stride: Any, extra: Any, nonlinearity: Any, replicate: bool
) -> None:
    torch.manual_seed(sum(kernel) + sum(extra))
    pool = RNNPool2d(channels, *hidden, kernel, stride, nonlinearity=nonlinearity, replicate=replicate)
    x = torch.rand(2, channels, kernel[0] + extra[0], kernel[1] + extra[1]) * 2
    shared, by_patch = results(pool, pool, x), results(pool, pool.forward_by_patch, x)
    for a, b in zip(shared, by_patch, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=2e-4, rtol=1e-3), (a - b).abs().max()


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(6, 20), st.integers(6, 20)),
    kernel=st.integers(2, 6),
    stride=st.one_of(st.none(), st.integers(1, 6)),
    padding=st.integers(0, 3),
    ceil_mode=st.booleans(),
)
def test_is_a_drop_in_for_max_pool(size: Any, kernel: int, stride: int | None, padding: int, ceil_mode: bool) -> None:
    x = torch.rand(1, 4, *size)
    arguments = (kernel, stride, min(padding, kernel // 2), 1, False, ceil_mode)
    expected = torch.nn.MaxPool2d(*arguments)(x)
    pool = RNNPool2d(4, 8, 8, *arguments)
    y = pool(x)
    assert y.shape == (1, 32, *expected.shape[2:])
    assert torch.allclose(y, pool.forward_by_patch(x), atol=1e-5)


def test_a_map_without_a_batch() -> None:
    pool, x = RNNPool2d(4, 8, 8, 4, 2, ceil_mode=True), torch.rand(4, 11, 13)
    assert torch.equal(pool(x), pool(x[None])[0])
    assert pool(x).shape == (32, *torch.nn.MaxPool2d(4, 2, ceil_mode=True)(x).shape[1:])
    assert torch.allclose(pool(x), pool.forward_by_patch(x), atol=1e-6)


def test_padding_is_zeros() -> None:
    pool = RNNPool2d(2, 8, 8, 4, 2, padding=1)
    x = torch.rand(1, 2, 9, 10)
    same = RNNPool2d(2, 8, 8, 4, 2)
    same.load_state_dict(pool.state_dict())
    assert torch.equal(pool(x), same(torch.nn.functional.pad(x, (1, 1, 1, 1))))


def test_replicated_edge() -> None:
    pool = RNNPool2d(4, 16, 16, 8, 4, replicate=True)
    y = pool(torch.rand(1, 4, 120, 160))
    assert y.shape == (1, 64, 30, 40)
    assert torch.equal(y[:, :, 29], y[:, :, 28]) and torch.equal(y[..., 39], y[..., 38])


@needs_kernels
@pytest.mark.parametrize("inputs", [1, 4, 9, 16, 20])
@pytest.mark.parametrize("hidden", [8, 16, 32])
@pytest.mark.parametrize("sweep", [Sweep(1, 5, 3), Sweep(2, 4, 4, True), Sweep(2, 1, 1)])
def test_kernels_equal_torch(inputs: int, hidden: int, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(inputs + hidden)
    cell = FastGRNNCell(inputs, hidden)
    with torch.no_grad():  # so that every clamp is at work somewhere
        cell.W.mul_(2)
        cell.nu.fill_(0.5)
    x = torch.randn(2, 9, 11, inputs, requires_grad=True)

    def gradients() -> list[Any]:
        y = cell(x, sweep)
        weights = torch.cos(torch.arange(y.numel(), dtype=torch.float32)).view_as(y)
        return [y, *torch.autograd.grad((y * weights).sum(), [x, *cell.parameters()], allow_unused=True)]

    fast = gradients()
    monkeypatch.setattr(fastgrnn, "_supported", lambda *_: False)
    for a, b in zip(fast, gradients(), strict=True):
        b = torch.zeros_like(a) if b is None else b  # U plays no part in a sweep of one step
        assert torch.allclose(a, b, atol=1e-3 * max(1.0, float(b.detach().abs().max()))), (a - b).abs().max()


def test_gradients_of_the_plain_path() -> None:
    torch.manual_seed(1)
    cell = FastGRNNCell(2, 3, "smooth").double()
    x = torch.randn(1, 4, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: cell(v, Sweep(2, 3, 2)), (x,))


def test_hard_cell_by_hand() -> None:
    cell = FastGRNNCell(1, 1)
    with torch.no_grad():
        for name, value in {"W": 1.0, "U": 0.5, "bias_gate": -0.5, "bias_update": 0.25}.items():
            getattr(cell, name).fill_(value)
        cell.zeta.fill_(100.0)
        cell.nu.fill_(-100.0)
    # a = 0.5: z = (0.5 - 0.5 + 1) / 2 = 0.5, g = 0.75, h = 0.375; then a = 2 + 0.1875: z = 1 (clamped), h unchanged
    x = torch.tensor([0.5, 2.0]).view(1, 1, 2, 1)
    assert cell(x[:, :, :1], Sweep(2, 1, 1)).item() == pytest.approx(0.375, abs=1e-6)
    assert cell(x, Sweep(2, 2, 1)).item() == pytest.approx(0.375, abs=1e-6)


def test_states_stay_within_one() -> None:
    cell = FastGRNNCell(1, 8)
    with torch.no_grad():
        cell.nu.fill_(5.0)
        cell.bias_update.fill_(1.0)
        cell.bias_gate.fill_(1.0)
    assert cell(torch.ones(1, 1, 9, 1), Sweep(2, 9, 1)).max() == 1.0


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="expected \\(N, 4, H, W\\) or \\(4, H, W\\), got \\(1, 3, 9, 9\\)"):
        RNNPool2d(4, 8, 8, 4)(torch.rand(1, 3, 9, 9))
    for arguments, message in (
        ((4, 2, 3), r"padding \(3, 3\) is more than half of kernel_size \(4, 4\)"),
        ((4, 0), r"stride \(0, 0\) must be at least 1"),
        ((4, 2, 0, 2), r"dilation 2, return_indices False: RNNPool has 1 and False only"),
        ((4, 2, 0, 1, True), r"return_indices True"),
    ):
        with pytest.raises(ValueError, match=message):
            RNNPool2d(4, 8, 8, *arguments)
    with pytest.raises(ValueError, match="replicate pads the result"):
        RNNPool2d(4, 8, 8, 4, 2, ceil_mode=True, replicate=True)
    with pytest.raises(ValueError, match="3 pixels along axis 2 has no window of 4"):
        RNNPool2d(4, 8, 8, 4)(torch.rand(1, 4, 9, 3))
    with pytest.raises(ValueError, match="'hard' or 'smooth', not 'soft'"):
        FastGRNNCell(1, 1, "soft")  # type: ignore[arg-type]


def test_importing_the_package_never_imports_torch() -> None:
    code = (
        "import sys, rnnpool_training, rnnpool_training.blob, rnnpool_training.reference, rnnpool_training.evaluate;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
