"""Several optimizers, each of a part of the parameters, used as one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import Array, xp
from minigrad.tensor import Tensor
from optim.engine.on_disk import Writes
from optim.engine.saving import check_keys, check_names
from optim.engine.stepping import Closure, Stepping
from optim.wrappers.base import check_optimizer, refuse_closures


class Groups(Stepping):
    """Several optimizers of disjoint parameters, used as one; groups[i] is the i-th.

    `params` has the parameters of all, those of the i-th under names that begin with "i.".
    """

    needs_closure = False

    def __init__(self, optimizers: Iterable[Any]):
        self.optimizers = tuple(optimizers)
        for i, optimizer in enumerate(self):
            check_optimizer(optimizer, f"groups[{i}]")
            refuse_closures(optimizer, "Groups")
        self.params = Parameters(
            {f"{i}.{name}": t for i, one in enumerate(self) for name, t in one.params.items()}
        )

    @classmethod
    def of(
        cls,
        rule: Callable[..., Any],
        groups: Iterable[tuple[Iterable[Tensor], dict[str, Any]]],
        **settings: Any,
    ) -> "Groups":
        """One optimizer by that rule for each (params, settings); settings here are for all."""
        groups = list(groups)
        for i, group in enumerate(groups):
            if isinstance(group, dict):
                raise TypeError(
                    f"groups[{i}] is a dict; give a pair, as (params, {{'lr': 0.1}}) of "
                    "{'params': params, 'lr': 0.1}."
                )
        return cls([rule(params, **{**settings, **own}) for params, own in groups])

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Groups has no {name} of its own; use groups[i].{name}.")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("optimizers", "params"):
            getattr(self, name)  # raises AttributeError for what the groups have
        object.__setattr__(self, name, value)

    def __getitem__(self, i: int) -> Any:
        return self.optimizers[i]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.optimizers)

    def __len__(self) -> int:
        return len(self.optimizers)

    def __repr__(self) -> str:
        return f"Groups({list(self.optimizers)})"

    @property
    def t(self) -> int:
        """The number of updates, of the group that has the most."""
        return max(int(one.t) for one in self)

    @property
    def rules(self) -> tuple[Any, ...]:
        return tuple([rule for one in self for rule in one.rules])

    @property
    def due(self) -> bool:
        """Whether the next step moves parameters of any group."""
        return any(one.due for one in self)

    @property
    def asks_later(self) -> bool:
        return any(one.asks_later for one in self)

    @property
    def waiting(self) -> int:
        """How many gradients wait for an update."""
        return sum(int(one.waiting) for one in self)

    @property
    def state(self) -> dict[str, Array]:
        """The live arrays of all groups, by names that begin with "i."."""
        return {f"{i}.{name}": a for i, one in enumerate(self) for name, a in one.state.items()}

    def check_step(self) -> None:
        for one in self:
            one.check_step()

    def check_gradients(self) -> bool:
        return any([one.check_gradients() for one in self])

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let every group move."""
        return any([one.move(loss, None) for one in self])

    def flush(self, outermost: Any = None) -> None:
        """Update each group from the gradients that wait in its Accumulate, if there are any."""
        if outermost is not None and self.waiting:
            raise TypeError(
                f"flush() of {type(outermost).__name__} would move groups of which nothing waits; "
                "put Accumulate around the Groups."
            )
        for one in self:
            one.flush()

    def drop(self) -> None:
        """Forget the gradients that wait for an update."""
        for one in self:
            one.drop()

    def zero_grad(self) -> None:
        """Set the gradients to zero."""
        self.params.zero_grad()

    def metric(self) -> Array:
        """The metrics of the groups, end to end."""
        return xp.concatenate([one.metric() for one in self])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters of each group are those to evaluate with."""
        with ExitStack() as stack:
            for one in self:
                stack.enter_context(one.averaged())
            yield

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs: the state of each group."""
        return {"rule": "Groups", "groups": {str(i): o.state_dict() for i, o in enumerate(self)}}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit."""
        with self.loading():
            for write in self._load(saved):
                write()

    def _load(self, saved: dict[str, Any]) -> Writes:
        check_keys(saved, "Groups", ("rule", "groups"))
        groups = {str(i): one for i, one in enumerate(self)}
        check_names(saved["groups"], groups, "state of Groups")
        return [write for i, one in groups.items() for write in one._load(saved["groups"][i])]
