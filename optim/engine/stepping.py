"""A step of a rule, of wrappers around it or of groups: it happens, or it changes nothing.

It goes three times through the nest, from the outermost wrapper to the rules: check_step refuses
what is set wrong, check_gradients what is not finite, and only then move writes. What breaks off
while it does leaves neither the old state nor the new one, which is refused until one is loaded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minigrad.tensor import Tensor

Closure = Callable[[], Tensor]  # zeroes the gradients, goes backward and returns the loss


class Stepping:
    """Base of what steps: the order in which a step checks and writes."""

    if TYPE_CHECKING:  # what a subclass says of itself
        params: Any

        @property
        def needs_closure(self) -> bool:
            """Whether a step has to be given a closure."""

        @property
        def asks_later(self) -> bool:
            """Whether it asks by itself if gradients are finite, when it moves."""

        @property
        def rules(self) -> tuple[Any, ...]:
            """The rules inside, from the first group to the last."""

        def check_step(self) -> None:
            """Raise what the next step would raise of settings and parameters, and note what these
            are at that step."""

        def check_gradients(self) -> bool:
            """Raise FloatingPointError for a gradient that is not finite, but for a device; say
            whether one is so large that its square is not."""

        def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
            """Update from the gradients as they are, all checked; say whether parameters moved.

            `loss` is what the closure has returned, if there is one; it may be called again.
            """

        def state_dict(self) -> dict[str, Any]: ...

        def load_state_dict(self, saved: dict[str, Any]) -> None: ...

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Update the parameters once.

        A closure is called first; it zeroes the gradients, goes backward and returns the loss.

        A step that is refused changes nothing and does not count: it raises FloatingPointError for
        a gradient that is not finite (not on a device, which would have to be waited for),
        ValueError for a schedule that left its range, and RuntimeError where a parameter was
        frozen since or belongs to a newer optimizer. What breaks off half-way, by an overflow,
        which raises FloatingPointError, or by Ctrl-C, leaves a state that neither steps nor is
        saved: load one from before, and the parameters with it.
        """
        if closure is None and self.needs_closure:
            raise TypeError(
                f"{type(self).__name__}.step() needs a closure, which zeroes the gradients, goes "
                "backward and returns the loss."
            )
        self.check_ready()
        loss = loss_of(closure) if closure else None
        self.check_step()
        before = self._copies() if self.check_gradients() else None  # an overflow is to be expected
        try:
            self.move(loss, closure)
        except BaseException:
            if before:
                self._go_back(*before)
            raise
        self.mark_half_way(False)
        return loss

    def check_ready(self, what: str = "step()") -> None:
        """Raise what check_owner, check_whole, check_outside and check_weights raise."""
        for rule in self.rules:
            rule._owned.check_claim(rule._claim)
            if rule._state.begun:
                self.check_whole()
            rule.check_outside(what)
            rule.check_weights()

    def check_whole(self) -> None:
        """Raise RuntimeError after a step, or a load, that broke off half-way."""
        for rule in self.rules:
            if rule._state.begun:
                raise RuntimeError(
                    f"a step or a load of {rule} broke off half-way, so its state and parameters "
                    "are those of no step; load both from before, or build another optimizer."
                )

    def check_owner(self) -> None:
        """Raise RuntimeError where a newer optimizer has some of the parameters."""
        for rule in self.rules:
            rule._owned.check_claim(rule._claim)

    def mark_half_way(self, half_way: bool = True) -> None:
        """Note that a step has begun to write, or that what is written is whole."""
        for rule in self.rules:
            rule._state.begun.clear()
            if half_way:
                rule._state.begun.append(True)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Inside, a state is loaded, which makes a whole of what was half-way.

        What does not fit changes nothing; only what is no mistake, Ctrl-C, breaks off half-way.
        """
        self.check_owner()
        for rule in self.rules:
            rule.check_outside("load_state_dict()")
        half_way = [rule for rule in self.rules if rule._state.begun]
        self.mark_half_way(False)
        try:
            yield
        except BaseException as error:
            for rule in half_way if isinstance(error, Exception) else self.rules:
                rule.mark_half_way()
            raise

    def _copies(self) -> tuple[Any, ...]:
        """What a step may change."""
        values = [rule._values for rule in self.rules]
        return self.params.gathered(), self.state_dict(), values

    def _go_back(self, p: Any, state: dict[str, Any], values: list[Any]) -> None:
        self.params.scatter(p)
        self.load_state_dict(state)
        for rule, value in zip(self.rules, values, strict=True):
            vars(rule)["_values"] = value


def loss_of(closure: Closure | None) -> Tensor:
    """What a closure returns; raises TypeError where that is not the loss."""
    loss: Any = closure and closure()
    if not isinstance(loss, Tensor) or loss.size != 1:
        raise TypeError(
            f"the closure returned {loss!r:.60}, not the loss; end it with `return loss`, the "
            "Tensor of one value whose backward() it called."
        )
    return loss
