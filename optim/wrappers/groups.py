"""Several optimizers, each of a part of the parameters, used as one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import Array, xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure
from optim.engine.saving import check_keys
from optim.wrappers.base import check_optimizer, check_step, moves_next, refuse_closures


class Groups:
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
    def due(self) -> bool:
        """Whether the next step moves parameters of any group."""
        return any(moves_next(one) for one in self)

    @property
    def state(self) -> dict[str, Array]:
        """The live arrays of all groups, by names that begin with "i."."""
        return {f"{i}.{name}": a for i, one in enumerate(self) for name, a in one.state.items()}

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Call the closure, if there is one, and step every group."""
        loss = closure() if closure else None
        self.check_step()
        for one in self:
            one.step()
        return loss

    def check_step(self) -> None:
        """Raise what the next step would raise before it changes anything, in any group."""
        for one in self:
            check_step(one)

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
        check_keys(saved, "Groups", ("rule", "groups"))
        groups, before = saved["groups"], self.state_dict()["groups"]
        if set(groups) != set(before):
            raise ValueError(
                f"the saved state has the groups {sorted(groups)}, not {sorted(before)}; "
                "build the groups that were saved."
            )
        try:
            for i, one in enumerate(self):
                one.load_state_dict(groups[str(i)])
        except Exception:
            for i, one in enumerate(self):
                one.load_state_dict(before[str(i)])
            raise
