"""Colours of the report, and plots as SVG that follow the page's light or dark mode."""

import io
import re

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steadyhand.data_collection.labels import Segment

# Name -> (light, dark). Segments have the colours of Okabe and Ito (2008), told apart by colour-blind people too.
COLOURS = {
    "ink": ("#1b1f27", "#e8eaee"),
    "muted": ("#626a78", "#9aa3b2"),
    "line": ("#dfe2e8", "#30353f"),
    "base": ("#8a919e", "#8d95a3"),
    "improved": ("#5a48c9", "#a598ff"),
    "demo": ("#cc79a7", "#d98bb6"),
    "policy": ("#0072b2", "#3d9fdb"),
    "handover": ("#7a7a7a", "#a8a8a8"),
    "rewind": ("#56b4e9", "#7cc8f2"),
    "recovery": ("#e69f00", "#f0b429"),
    "correction": ("#009e73", "#2cc295"),
}
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
SEGMENT = {segment: LIGHT[segment.name.lower()] for segment in Segment}
_BY_HEX = {light: name for name, light in LIGHT.items()}
_STYLE = {
    "svg.fonttype": "none",  # text stays text: small, crisp, in the page's own font
    "svg.hashsalt": "steadyhand",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.edgecolor": LIGHT["line"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["line"],
    "ytick.color": LIGHT["line"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "path.simplify_threshold": 0.3,
}


def style():
    """The context in which every plot of the report is drawn."""
    return matplotlib.rc_context(_STYLE)


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an <svg> element for an HTML page.

    Args:
        figure: Drawn with the colours of this module only.
        name: Unique in the page; every id starts with it.
    """
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # In HTML neither name spaces nor a size are needed; the style sheet scales by the viewBox.
    svg = re.sub(r'\s(xmlns(:\w+)?|width|height)="[^"]*"(?=[^>]*viewBox)|\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: _variable(match.group()), svg)
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)


def _variable(colour: str) -> str:
    return f"var(--{_BY_HEX[colour]})" if colour in _BY_HEX else colour


def css_variables(dark: bool) -> str:
    """Return the declarations of the colours for the style sheet."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLOURS.items())


def no_ticks(axes: Axes) -> None:
    """Leave the tick labels but not the little lines."""
    axes.tick_params(length=0)
