"""The loop that looks while it trains, how it measures sharpness, and its problems, each against
arithmetic written out here."""

import numpy as np
import pytest

import optim
from experiments.loops.sharpness import largest_eigenvalue, preconditioned_sharpness
from experiments.loops.watched import Watched
from experiments.problems.full_batch import (
    digits_network,
    heavy_tail,
    private_slots,
    quadratic,
)
from experiments.problems.images import load_digits
from experiments.problems.thinned import Thinned
from minigrad import Parameters, load, save, to_host, xp
from tests.driving import host_only
from tests.trials import finished


def trial(times, rule=optim.Adam, **hyperparameters):
    (x,), loss = quadratic([1.0, 4.0], 1.0)

    def watch(opt):
        return {"x": to_host(x.data), "loss": loss(opt.t).item()}

    return Watched([x], loss, rule, times=np.array(times), watch=watch, **hyperparameters)


def test_what_is_seen_is_as_it_was_before_the_step():
    trace = finished(trial([1, 2, 5], optim.SGD, lr=0.1))
    steps = np.array([[0], [1], [4]])
    x = (1 - 0.1 * np.array([1, 4])) ** steps
    np.testing.assert_array_equal(trace["t"], [1, 2, 5])
    np.testing.assert_allclose(trace["x"], x, rtol=1e-14)
    np.testing.assert_allclose(trace["loss"], (x**2 @ [1, 4]) / 2, rtol=1e-14)


def test_a_run_goes_on_to_the_same_bits(tmp_path):
    times = [1, 50, 100, 101, 150, 201, 250]
    whole = finished(trial(times, lr=0.01))
    run = trial(times, lr=0.01)
    run.advance()
    assert 0 < run.progress < 1 and not run.done
    save(tmp_path / "run.npz", trial=run)
    run = trial(times, lr=0.01)
    run.load_state_dict(load(tmp_path / "run.npz")["trial"])
    for name, array in finished(run).items():
        np.testing.assert_array_equal(array, whole[name])
    assert run.progress == 1


def test_rules_that_mix_separate_runs_are_refused():
    with pytest.raises(ValueError, match="LARS looks at all coordinates at once"):
        trial([2], optim.LARS, lr=0.1, separate=True)


@pytest.mark.parametrize("size", [1, 3, 30])
def test_the_largest_eigenvalue_is_that_of_the_whole_matrix(size):
    rng = np.random.default_rng(size)
    matrix = rng.standard_normal((size, size))
    matrix = matrix + matrix.T - 3 * np.eye(size)  # of either sign; the largest, not in magnitude
    found = largest_eigenvalue(lambda v: matrix @ v, size, size)
    assert found == pytest.approx(np.linalg.eigvalsh(matrix)[-1])


@host_only
def test_sharpness_is_that_of_a_hessian_by_differences_of_losses():
    """And of Adam's preconditioner as Cohen et al. write it, with its corrections of the bias."""
    images, hidden = 20, 2
    params, loss = digits_network(images, hidden, seed=1)
    lr, beta1, beta2, eps = 0.01, 0.9, 0.99, 1e-3
    opt = optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps)
    v = np.zeros(params.size)
    for t in range(3):
        opt.zero_grad()
        loss(t).backward()
        v = beta2 * v + (1 - beta2) * to_host(params.grad) ** 2
        opt.step()
    preconditioner = (1 - beta1**3) * (np.sqrt(v / (1 - beta2**3)) + eps)
    digits = load_digits()
    x = digits.train_x[:images].astype(float)
    y = np.eye(10)[digits.train_y[:images]]
    here, h = to_host(params.data).copy(), 1e-4
    shapes = [p.shape for p in params]
    cuts = np.cumsum([p.size for p in params])[:-1]

    def gradient(point):
        """By complex steps, which have no error of rounding."""
        found = np.empty(len(point))
        for k in range(len(point)):
            shifted = point.astype(complex)
            shifted[k] += 1e-30j
            parts = zip(np.split(shifted, cuts), shapes, strict=True)
            w1, b1, w2, b2 = (part.reshape(shape) for part, shape in parts)
            found[k] = ((np.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean().imag / 1e-30
        return found

    hessian = np.array(
        [
            (gradient(here + h * unit) - gradient(here - h * unit)) / (2 * h)
            for unit in np.eye(len(here))
        ]
    )
    root = np.sqrt(preconditioner)
    expected = np.linalg.eigvalsh((hessian + hessian.T) / 2 / np.outer(root, root))[-1]
    found = preconditioned_sharpness(loss, opt)
    assert found == pytest.approx(lr * expected, rel=1e-5)
    np.testing.assert_array_equal(to_host(params.data), here)


def test_the_heavy_tail_is_softmax_regression_on_unit_vectors():
    ((logits,), loss), frequencies = heavy_tail(5)
    assert frequencies * np.arange(1, 6) == pytest.approx(frequencies[0])
    assert frequencies.sum() == pytest.approx(1)
    logits.data = np.random.default_rng(0).standard_normal((5, 5))
    z = logits.numpy()
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert loss(1).item() == pytest.approx(-frequencies @ np.log(p.diagonal()))
    loss(1).backward()
    slopes = frequencies[:, None] * (p - np.eye(5))
    np.testing.assert_allclose(to_host(logits.grad), slopes, atol=1e-15)


def test_private_slots_are_columns_of_a_matrix():
    labels = np.array([[1, -1, -1, 1], [-1, -1, 1, -1]])
    (shared, private), loss = private_slots(labels)
    rng = np.random.default_rng(0)
    shared.data, private.data = rng.standard_normal((2, 3)), rng.standard_normal((2, 4, 5))
    expected = 0
    for y, w, own in zip(labels, shared.numpy(), private.numpy(), strict=True):
        slots = np.zeros((4, 4, 5))
        for i in range(4):
            slots[i, i, : 1 if y[i] == 1 else 5] = 1
        x = np.column_stack([y, np.ones(4), np.ones(4), slots.reshape(4, 20)])
        expected += ((x @ np.append(w, own) - y) ** 2).mean()
    assert loss(1).item() == pytest.approx(expected)
    loss(1).backward()
    unused = to_host(private.grad)[labels == 1][:, 1:]
    assert (unused == 0).all() and (to_host(private.grad)[labels == -1] != 0).all()


def test_thinned_digits_are_rare_in_training_and_left_for_recall():
    thinned = Thinned(digit=8, share=0.01, seeds=2, seed=0)
    digits = load_digits()
    assert ((thinned.y == 8).mean(axis=1) == thinned.kept / thinned.y.shape[1]).all()
    assert (thinned.y == 8).mean() == pytest.approx(0.01, abs=0.0005)
    everyone = (digits.train_y == 8).sum() + (digits.test_y == 8).sum()
    for x, y, rare in zip(thinned.x, thinned.y, thinned.rare, strict=True):
        assert len(rare) == everyone - thinned.kept
        kept = {image.tobytes() for image in x[y == 8]}
        assert not kept & {image.tobytes() for image in rare}
    assert (thinned.x[0][thinned.y[0] == 8] != thinned.x[1][thinned.y[1] == 8]).any()
    assert 8 not in thinned.labels


def test_each_rate_and_seed_is_a_regression_of_its_own():
    thinned, rates, batch = Thinned(digit=3, share=0.02, seeds=2, seed=5), [0.1, 1.0], 16
    params, loss, watch = thinned.regressions(len(rates), batch)
    w, b = params
    lr = [np.broadcast_to(np.reshape(rates, (2, 1, 1, 1)), p.shape).ravel() for p in params]
    opt = optim.SGD(Parameters.of(params), lr=xp.asarray(np.concatenate(lr)))
    drawn = [
        np.random.default_rng([5, t]).integers(thinned.x.shape[1], size=(2, batch)) for t in (1, 2)
    ]
    for t in (1, 2):
        opt.zero_grad()
        loss(t).backward()
        opt.step()
    seen = watch(opt)
    for i, rate in enumerate(rates):
        for k in range(2):
            weights, bias = np.zeros((64, 10)), np.zeros(10)
            for index in drawn:
                x, y = thinned.x[k, index[k]], thinned.y[k, index[k]]
                p = np.exp(x @ weights + bias)
                p = p / p.sum(axis=1, keepdims=True) - np.eye(10)[y]
                weights, bias = weights - rate * x.T @ p / batch, bias - rate * p.mean(axis=0)
            np.testing.assert_allclose(w.numpy()[i, k], weights, atol=1e-14)
            np.testing.assert_allclose(b.numpy()[i, k, 0], bias, atol=1e-14)
            p = np.exp(thinned.x[k] @ weights + bias)
            p /= p.sum(axis=1, keepdims=True)
            mean = -np.log(p[np.arange(len(p)), thinned.y[k]]).mean()
            assert seen["loss"][i, k] == pytest.approx(mean)
            recall = ((thinned.rare[k] @ weights + bias).argmax(axis=1) == 3).mean()
            assert seen["recall"][i, k] == recall
            right = (thinned.others @ weights + bias).argmax(axis=1) == thinned.labels
            assert seen["others"][i, k] == right.mean()


def test_a_run_that_overflows_stops_with_its_rate_and_step():
    with pytest.raises(FloatingPointError, match=r"SGD\(lr=100\.0\) at step \d+: .*lower rates"):
        finished(trial([1, 200], optim.SGD, lr=100.0))
