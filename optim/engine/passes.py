"""A pass of a rule: one function of arrays and scalars, called on every block.

The function's signature is its schema: its positional parameters name arrays, those after the *
scalars.
"""

from collections.abc import Callable, Set
from functools import partial
from inspect import Parameter, signature
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import Array, current
from optim.engine.recording import Playback, Recording, record
from optim.engine.scalars import Scalars
from optim.engine.state import Block, FlatState, ShapedState
from optim.engine.threads import block_length, share, useful_threads
from optim.projections import Box

Function = Callable[..., Any]


class Pass:
    """A function, fused where the backend fuses, with the blocks of the arrays that it names.

    With `boxed` it clips its first array, p for most rules, to a box too.
    """

    def __init__(
        self,
        function: Function,
        memory: FlatState | ShapedState,
        params: Parameters,
        boxed: bool = False,
    ):
        backend = current()
        self.name = getattr(function, "__qualname__", repr(function))
        self.arrays, wanted = positional(function), keywords(function)
        kinds = [p.kind for p in signature(function).parameters.values()]
        if boxed:
            function, wanted = _then_box(function), wanted + keywords(Box.kernel)
        self.per_tensor = isinstance(memory, ShapedState)
        self.function = function if self.per_tensor else backend.fuse(function)
        self.blocks = list(memory.pieces(self.arrays, block_length(params)))
        self.wanted = None if Parameter.VAR_KEYWORD in kinds else wanted
        self.threads = 1 if self.per_tensor else useful_threads(params)
        # whether to try; to call the function itself, set it to False before the first step
        self.recorded = backend.on_host and not self.per_tensor and bool(self.blocks)
        self._playbacks: dict[type, Playback | None] = {}  # by the type of the scalars

    def __call__(self, scalars: dict[str, Any], spread: Set[str] = frozenset()) -> None:
        """Call the function on every block, with the scalars that it takes.

        Those named in `spread` are arrays of one value for each coordinate.
        """
        if self.recorded and not spread:
            kind = type(scalars)
            if kind not in self._playbacks:
                self._playbacks[kind] = self._playback(scalars)
            if playback := self._playbacks[kind]:
                playback(scalars)
                return
        apply = partial(self._apply, self._taken(scalars), spread)
        share([apply] * self.threads, self.blocks)

    def recording(self, scalars: dict[str, Any]) -> Recording | None:
        """The calls of NumPy on each block; None where they cannot be recorded."""
        arrays = dict(zip(self.arrays, self.blocks[0][1], strict=True))
        return record(self.function, arrays, self._taken(scalars))

    def _playback(self, scalars: dict[str, Any]) -> Playback | None:
        recording = self.recording(scalars)
        if not recording:
            return None
        blocks = [dict(zip(self.arrays, arrays, strict=True)) for _, arrays in self.blocks]
        numbers = {name for name, array in blocks[0].items() if not array.ndim}
        if numbers == blocks[0].keys():  # then the pass is called once, and may change them
            numbers = set()
        recording.check(self.name, scalars.keys() | numbers)
        live = isinstance(scalars, Scalars)
        return Playback(recording, blocks, scalars, self.threads, live)

    def _taken(self, scalars: dict[str, Any]) -> dict[str, Any]:
        if self.wanted is None:
            return scalars
        try:
            return {name: scalars[name] for name in self.wanted}
        except KeyError as error:
            raise TypeError(
                f"{self.name} takes the scalar {error}, but is given {list(scalars)}; declare it "
                "as a hyperparameter, as lr: optim.Schedule = 0.1, or give it in `scalars`."
            ) from None

    def _apply(self, scalars: dict[str, Any], spread: Set[str], block: Block) -> None:
        where, arrays = block
        if spread:
            here = {name: scalars[name][where] for name in spread & scalars.keys()}
            if self.per_tensor:
                here = {name: value.reshape(arrays[0].shape) for name, value in here.items()}
            scalars = {**scalars, **here}
        self.function(*arrays, **scalars)


def positional(function: Function | None) -> tuple[str, ...]:
    """The names of its positional parameters; none for no function."""
    return _named(function, Parameter.POSITIONAL_OR_KEYWORD)


def keywords(function: Function | None) -> tuple[str, ...]:
    """The names of its keyword-only parameters; none for no function."""
    return _named(function, Parameter.KEYWORD_ONLY)


def _named(function: Function | None, kind: Any) -> tuple[str, ...]:
    every = signature(function).parameters.values() if function else ()
    return tuple(p.name for p in every if p.kind is kind)


def _then_box(kernel: Function) -> Function:
    """The kernel and the clip, in one pass over a block."""

    def kernel_then_box(*arrays: Array, box_lo: Any, box_hi: Any, **scalars: Any) -> None:
        kernel(*arrays, **scalars)
        Box.kernel(arrays[0], box_lo=box_lo, box_hi=box_hi)

    return kernel_then_box
