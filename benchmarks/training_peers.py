"""The training step of training.py in other libraries."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.training import BETAS, EPS, LR, adam_in_numpy, task, views


def torch(sizes: list[int], batch: int, **options: bool) -> Iterator[Any]:
    """Eager PyTorch; the options are those of its Adam."""
    return _torch(sizes, batch, options, lambda loss_of: loss_of)


def torch_compiled(sizes: list[int], batch: int) -> Iterator[Any]:
    """torch.compile of model and loss, forward and backward, for this one shape, beside the fused
    Adam, which is one kernel already."""
    import torch

    torch._dynamo.reset()  # else a second shape would make the compiled code one for any shape
    return _torch(sizes, batch, {"fused": True}, partial(torch.compile, dynamic=False))


def _torch(
    sizes: list[int], batch: int, options: dict[str, bool], compiled: Callable[[Any], Any]
) -> Iterator[Any]:
    import torch

    x, y, batches, layers = task(sizes, batch)
    x, y, *batches = map(torch.from_numpy, (x, y, *batches))
    modules = []
    for w, b in layers:
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data = torch.from_numpy(w.T.copy())
        linear.bias.data = torch.from_numpy(b)
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    opt = torch.optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS, **options)

    def loss_of(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), y)

    loss_of = compiled(loss_of)
    for i in cycle(batches):
        opt.zero_grad()
        loss = loss_of(x[i], y[i])
        loss.backward()
        opt.step()
        yield loss.detach()


def jax(sizes: list[int], batch: int) -> Iterator[Any]:
    """All of a step in one `jax.jit`, its parameters and state donated."""
    import jax
    import optax

    x, y, batches, params = task(sizes, batch)
    x, y, *batches = map(jax.device_put, (x, y, *batches))
    opt = optax.adam(LR, *BETAS, EPS)
    params = jax.device_put(params)
    state = opt.init(params)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        *hidden, (w, b) = params
        for v, c in hidden:
            x = jax.nn.relu(x @ v + c)
        return optax.softmax_cross_entropy_with_integer_labels(x @ w + b, y).mean()

    def step(params: Any, state: Any, x: Any, y: Any, i: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x[i], y[i])
        updates, state = opt.update(grads, state)
        return optax.apply_updates(params, updates), state, loss

    step = jax.jit(step, donate_argnums=(0, 1))
    for i in cycle(batches):
        params, state, loss = step(params, state, x, y, i)
        yield loss


def autograd(sizes: list[int], batch: int) -> Iterator[Any]:
    """HIPS autograd, with the Adam that is written by hand."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    x, y, batches, params, slopes, update = _with_adam_by_hand(sizes, batch)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        *hidden, (w, b) = params
        for v, c in hidden:
            x = anp.maximum(anp.dot(x, v) + c, 0)
        z = anp.dot(x, w) + b
        z = z - anp.max(z, axis=1, keepdims=True)
        picked = z[np.arange(len(y)), y]
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - picked)

    loss_and_grads = value_and_grad(loss_of)
    for i in cycle(batches):
        loss, grads = loss_and_grads(params, x[i], y[i])
        for into, arrays in zip(slopes, grads, strict=True):
            for view, array in zip(into, arrays, strict=True):
                view[...] = array
        update()
        yield loss


def mygrad(sizes: list[int], batch: int) -> Iterator[Any]:
    """MyGrad without its guard of memory, as its manual advises for speed, and the Adam that is
    written by hand."""
    import mygrad
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    mygrad.turn_memory_guarding_off()
    x, y, batches, params, slopes, update = _with_adam_by_hand(sizes, batch)
    layers = [[mygrad.tensor(array, copy=False) for array in layer] for layer in params]
    for i in cycle(batches):
        z = x[i]
        for w, b in layers[:-1]:
            z = relu(mygrad.matmul(z, w) + b)
        w, b = layers[-1]
        loss = softmax_crossentropy(mygrad.matmul(z, w) + b, y[i])
        loss.backward()
        for into, layer in zip(slopes, layers, strict=True):
            for view, param in zip(into, layer, strict=True):
                view[...] = param.grad
        update()
        yield loss.item()


def tinygrad(sizes: list[int], batch: int) -> Iterator[Any]:
    """All of a step in one TinyJit on tinygrad's CPU device; batches are cut in NumPy, since its
    indexing with an array compares the indices with those of all rows."""
    from tinygrad import Context, Tensor, TinyJit
    from tinygrad.nn.optim import Adam

    x, y, batches, layers = task(sizes, batch)
    params = [[Tensor(a).realize() for a in layer] for layer in layers]
    opt = Adam([a for layer in params for a in layer], LR, *BETAS, EPS)

    @TinyJit
    def step(x: Any, y: Any) -> Any:
        *hidden, (w, b) = params
        for v, c in hidden:
            x = (x @ v + c).relu()
        opt.zero_grad()
        loss = (x @ w + b).sparse_categorical_crossentropy(y).backward()
        return loss.realize(*opt.schedule_step())

    with Context(TRAINING=1):
        for i in cycle(batches):
            yield step(Tensor(x[i]).realize(), Tensor(y[i].astype("i4")).realize()).item()


def _with_adam_by_hand(sizes: list[int], batch: int) -> tuple[Any, ...]:
    """The task, with parameters and gradients as views into flat arrays, and the update."""
    x, y, batches, layers = task(sizes, batch)
    p = np.concatenate([a.ravel() for layer in layers for a in layer])
    g = np.empty_like(p)
    return x, y, batches, views(p, sizes), views(g, sizes), adam_in_numpy(p, g)
