"""Functions of the plane that optimizers are tried on.

Each is written once, of Tensors or arrays: minigrad has its gradient, and the page has both as
JavaScript that is printed from a trace.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]


def rosenbrock(x: Any, y: Any) -> Any:
    """A bent valley. Rosenbrock 1960."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(x: Any, y: Any) -> Any:
    """A plateau with steep edges. Beale 1958."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y * y**2) ** 2


def himmelblau(x: Any, y: Any) -> Any:
    """Four minima of the same depth. Himmelblau 1972."""
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def ravine(x: Any, y: Any) -> Any:
    """A quadratic a hundred times as steep in y as in x."""
    return (x**2 + 100 * y**2) / 2


def styblinski_tang(x: Any, y: Any) -> Any:
    """Four minima, of which one is the deepest. Styblinski and Tang 1990."""
    return ((x**2) ** 2 - 16 * x**2 + 5 * x + (y**2) ** 2 - 16 * y**2 + 5 * y) / 2


def noisy_quadratic(x: Any, y: Any, noise_x: Any, noise_y: Any) -> Any:
    """A quadratic whose gradient is seen with noise."""
    return (x**2 + 10 * y**2) / 2 + noise_x * x + noise_y * y


@dataclass(frozen=True)
class Landscape:
    """A function with the window of the plane to see it in, its minima, and where to begin.

    Where there is `noise`, the function takes two numbers more, each of that size and of a sign
    that is drawn at every step.
    """

    function: Callable[..., Any]
    window: tuple[Point, Point]  # the ends of x, and of y
    minima: tuple[Point, ...]
    start: Point
    noise: float = 0.0

    @property
    def name(self) -> str:
        """As it is written in a title."""
        return self.function.__name__.replace("_", " ")

    @property
    def others(self) -> tuple[str, ...]:
        """What the function takes beside x and y."""
        return ("noise_x", "noise_y") if self.noise else ()

    def value(self, x: Any, y: Any) -> Any:
        """Without noise."""
        return self.function(x, y, *[0.0] * len(self.others))


HIMMELBLAU_MINIMA = (  # to the last digit; the first is exact
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.283185991286170),
    (3.584428340330492, -1.848126526964404),
)
LANDSCAPES = {
    landscape.function.__name__: landscape
    for landscape in (
        Landscape(rosenbrock, ((-2, 2), (-1, 3)), ((1, 1),), (-1.5, 2.0)),
        Landscape(beale, ((-4.5, 4.5), (-4.5, 4.5)), ((3, 0.5),), (1.0, 1.5)),
        Landscape(himmelblau, ((-5, 5), (-5, 5)), HIMMELBLAU_MINIMA, (-0.5, -1.0)),
        Landscape(ravine, ((-3, 3), (-1.5, 1.5)), ((0, 0),), (-2.5, 1.0)),
        Landscape(
            styblinski_tang,
            ((-5, 5), (-5, 5)),
            ((-2.903534027771177, -2.903534027771177),),
            (0.5, 4.0),
        ),
        Landscape(noisy_quadratic, ((-3, 3), (-3, 3)), ((0, 0),), (-2.5, 2.0), noise=5.0),
    )
}
