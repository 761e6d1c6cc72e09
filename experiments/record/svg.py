"""SVG that serves light pages and dark ones, from the SVG that matplotlib writes."""

import re

# As a file of its own it follows the system; inside a page it has the colour of the page's text
STYLE = (
    "<style>svg:root{color:#1b1b1b}"
    "@media(prefers-color-scheme:dark){svg:root{color:#e8e8e8}}</style>"
)


def adapted(svg: str) -> str:
    """The same with currentColor for black, which is what matplotlib draws texts and axes in.

    A fill of black it leaves out, as the default; so currentColor becomes the default. Paths are
    written to a hundredth of a point, and without line breaks.
    """
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    svg = re.sub("#000000", "currentColor", svg)
    return re.sub(r"(<svg )([^>]*>)", rf'\1fill="currentColor" \2{STYLE}', svg, count=1)
