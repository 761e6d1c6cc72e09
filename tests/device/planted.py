"""Plant mistakes that NumPy forgives and a GPU does not, and see that the tests notice.

    python -m tests.device.planted

Each mistake is made in a copy of the tree, where the named tests then run on the stand-in for
CuPy. A mistake that passes is printed, and the exit status is 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("minigrad", "optim", "models", "experiments", "tests")


class Mistake(NamedTuple):
    """Text to replace once in a file, and the test file that should notice."""

    name: str
    file: str
    text: str
    instead: str
    tests: str = "device/test_launches.py"


OPS, TENSOR, DRIVER = "minigrad/ops.py", "minigrad/tensor.py", "optim/engine/optimizer.py"
CUDA, PASSES = "optim/engine/cuda.py", "optim/engine/passes.py"
MISTAKES = [
    Mistake(
        "np.maximum in relu",
        OPS,
        "xp.maximum(x, 0), lambda",
        "__import__('numpy').maximum(x, 0), lambda",
    ),
    Mistake(
        "np.exp in an op",
        OPS,
        "y = xp.exp(x)",
        "y = __import__('numpy').exp(x)",
        "autograd/test_ops.py",
    ),
    Mistake(
        "a mask on the host",
        OPS,
        "lambda g: g * (x > 0)",
        "lambda g: g * __import__('minigrad').to_host(x > 0)",
    ),
    Mistake(
        "labels stay on the host",
        OPS,
        "labels = xp.asarray(labels)\n",
        "labels = __import__('numpy').asarray(__import__('minigrad').to_host(labels))\n",
    ),
    Mistake(
        "rows made on the host",
        OPS,
        "wrapped * n + xp.arange(n)",
        "wrapped * n + __import__('numpy').arange(n)",
    ),
    Mistake("rows as a list", OPS, "wrapped * n + xp.arange(n)", "wrapped * n + list(range(n))"),
    Mistake("a look at the labels", OPS, "if current().on_host:", "if True:"),
    Mistake(
        "the loss as a float",
        OPS,
        "return losses.sum() / n, pullback",
        "return xp.asarray(float(losses.sum()) / n, logits.dtype), pullback",
    ),
    Mistake(
        "a branch on the data",
        OPS,
        "    z -= z.max(axis=0)\n",
        "    if (z.max() > 0):\n        z -= z.max(axis=0)\n",
    ),
    Mistake(
        "assignment with repeats",
        OPS,
        "    if _repeats_nothing(index):\n",
        "    if True:\n",
        "autograd/test_ops.py",
    ),
    Mistake(
        "zeros on the host",
        OPS,
        "dx = xp.zeros(",
        "dx = __import__('numpy').zeros(",
        "autograd/test_ops.py",
    ),
    Mistake(
        "a list as an index", OPS, "    index = _without_lists(index)\n", "", "autograd/test_ops.py"
    ),
    Mistake(
        "an initial maximum",
        OPS,
        "x.max(axis=axis, keepdims=True), axis",
        "x.max(axis=axis, keepdims=True, initial=-1e9), axis",
        "autograd/test_ops.py",
    ),
    Mistake("maximum.reduce", OPS, "    z -= z.max(axis=0)\n", "    z -= xp.maximum.reduce(z)\n"),
    Mistake(
        "where= in a ufunc",
        OPS,
        "    z -= z.max(axis=0)\n",
        "    xp.subtract(z, z.max(axis=0), out=z, where=z == z)\n",
    ),
    Mistake(
        "a seed on the host",
        TENSOR,
        "grad = xp.empty_like(self._data)",
        "grad = np.empty(self.shape, self.dtype)",
    ),
    Mistake("inputs not moved", "minigrad/module.py", "x = xp.asarray(x) if", "x = x if"),
    Mistake(
        "an arena on the host",
        "minigrad/arena.py",
        "self.grad = xp.zeros(",
        "self.grad = __import__('numpy').zeros(",
    ),
    Mistake(
        "state on the host",
        "optim/engine/state.py",
        "array = xp.zeros(",
        "array = __import__('numpy').zeros(",
    ),
    Mistake(
        "np.square in a reduction",
        "optim/rules/parameter_free.py",
        "xp.square(",
        "__import__('numpy').square(",
    ),
    Mistake(
        "np.asarray of a gradient",
        DRIVER,
        "        self._owned.materialize_grads()\n",
        "        self._owned.materialize_grads()\n        np.asarray(self._owned.spans[0].grad)\n",
    ),
    Mistake(
        "float() in a step",
        DRIVER,
        "        self._owned.materialize_grads()\n",
        "        self._owned.materialize_grads()\n        float(self._owned.spans[0].grad[0])\n",
    ),
    Mistake(
        "a look for NaN in a step",
        DRIVER,
        "        self._owned.materialize_grads()\n",
        "        self._owned.materialize_grads()\n"
        "        bool(xp.isfinite(self._owned.spans[0].grad).all())\n",
    ),
    Mistake(
        "a copy to the host in a step",
        DRIVER,
        "        self._owned.materialize_grads()\n",
        "        self._owned.materialize_grads()\n        to_host(self._owned.spans[0].grad)\n",
    ),
    Mistake(
        "a pass that is played on a device",
        PASSES,
        "            maker = Cuda\n",
        "            pass\n",
    ),
    Mistake("a literal in double", CUDA, '"T({})"', '"{}"'),
    Mistake("a function that is not defined", CUDA, "if function in called", "if not called"),
    Mistake(
        "a sum in the dtype of the arena", CUDA, 'f"float64 at_{names[v]}"', 'f"T at_{names[v]}"'
    ),
    Mistake("an array that is read and written twice", CUDA, " and n not in written]", "]"),
    Mistake(
        "a look at the numbers of the state",
        PASSES,
        "not value.ndim and type(value) is np.ndarray",
        "not value.ndim",
    ),
    Mistake(
        "numbers of sums that begin on the host",
        "optim/engine/building.py",
        "opt._state.move_to_device(",
        "str(",
    ),
    Mistake(
        "numbers of sums that go on on the host",
        "optim/engine/state.py",
        "value.ndim or name in self.on_device",
        "value.ndim",
    ),
    Mistake(
        "a choice between numbers by one of the host",
        "optim/engine/hoist.py",
        'entry.function == "where" and',
        "not entry and",
    ),
    Mistake(
        "blocks on a device",
        "optim/engine/threads.py",
        "limit = current().block_bytes\n",
        "limit = 64\n",
    ),
    Mistake(
        "hyperparameters stay on the host",
        "optim/engine/settings.py",
        'xp.array(value, "float64")',
        'value.astype("float64")',
    ),
    Mistake(
        "numbers as arrays of the host",
        CUDA,
        "given = numbers\n",
        "given = list(map(__import__('numpy').asarray, numbers))\n",
    ),
    Mistake(
        "a mask to assign by",
        OPS,
        "losses = xp.where(outside, xp.nan, losses)",
        "losses[outside] = xp.nan",
    ),
    Mistake(
        "a kernel compiled anew in every step",
        PASSES,
        "        if executor is None:\n",
        "        if True:\n",
    ),
    Mistake(
        "weights on the device in a state",
        "minigrad/values.py",
        "t.numpy().copy() for",
        "t.data.copy() for",
    ),
    Mistake(
        "a branch on the norm",
        "optim/wrappers/clip.py",
        "xp.maximum(self._total / self.norm, 1)",
        "max(self._total / self.norm, 1)",
    ),
    Mistake(
        "the loss as a float in a step",
        "optim/rules/closure.py",
        "loss=self._loss.data, square",
        "loss=float(self._loss.data), square",
    ),
    Mistake(
        "the norm as a float",
        "optim/wrappers/sam.py",
        "1 / xp.maximum(self._norm(), self._tiny)",
        "1 / max(float(self._norm()), self._tiny)",
    ),
    Mistake(
        "numbers that are brought back from a run without any",
        "optim/engine/cuda_run.py",
        "    if cut.numbers:\n        for",
        "    if to_host(numbers) is not None:\n        for",
        "device/test_experiments_on_device.py",
    ),
    Mistake(
        "a sum that is converted twice",
        "optim/engine/sums.py",
        'sums[0].astype("float64", copy=False)',
        'sums[0].astype("float64")',
    ),
]


def main() -> int:
    """Try every mistake; 1 if one passes."""
    for tests in {mistake.tests for mistake in MISTAKES}:
        assert not is_noticed(Mistake("none", OPS, "", "", tests)), f"{tests} fails without any"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        noticed = list(pool.map(is_noticed, MISTAKES))
    for mistake, seen in zip(MISTAKES, noticed, strict=True):
        print(f"{'noticed' if seen else 'PASSED '}  {mistake.name}")
    print(f"{sum(noticed)} of {len(MISTAKES)} noticed")
    return 0 if all(noticed) else 1


def is_noticed(mistake: Mistake) -> bool:
    """Whether the tests fail on a copy of the tree with the mistake in it."""
    with tempfile.TemporaryDirectory() as copy:
        for name in PACKAGES:
            shutil.copytree(ROOT / name, Path(copy, name), ignore=shutil.ignore_patterns("*.pyc"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        file = Path(copy, mistake.file)
        file.write_text(file.read_text().replace(mistake.text, mistake.instead, 1))
        command = [sys.executable, "-m", "pytest", "-q", "-x", f"tests/{mistake.tests}"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider"],
            cwd=copy,
            env={**os.environ, "MINIGRAD_BACKEND": "strict", "PYTHONPATH": copy},
            capture_output=True,
            text=True,
        )
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
