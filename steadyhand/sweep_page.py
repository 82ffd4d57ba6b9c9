"""A sweep as one HTML page with everything it needs inside."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from steadyhand.compare_plots import named_rows
from steadyhand.compare_text import ranges
from steadyhand.report import environment
from steadyhand.report_plots import PANEL
from steadyhand.report_style import LIGHT, no_ticks, style, to_svg
from steadyhand.sim.perturbation import AXES
from steadyhand.sim.sweep import PARTS, AxisEffect
from steadyhand.sweep import HEADER, Point, Sweep, effect_rows

COLUMNS = 3  # of small plots


def page(sweep: Sweep) -> str:
    """The page as text."""
    effects = sweep.effects
    pair = effects[:2]
    return (
        environment()
        .get_template("sweep.html")
        .render(
            sweep=sweep,
            what=f"{sweep.policy} {sweep.version}".strip(),
            percent=f"{100 * sweep.success.p:.0f}",
            interval=f"{100 * sweep.success.lo:.0f} to {100 * sweep.success.hi:.0f} %",
            headline=headline(sweep),
            header=HEADER,
            rows=effect_rows(sweep),
            axes=AXES,
            curves_plot=Markup(curves(effects)),
            sensitivity_plot=Markup(sensitivities(effects)),
            heat_plot=Markup(heat(sweep, *pair)) if len(pair) == 2 else None,
            pair=[effect.name for effect in pair],
            seeds=ranges([point.seed for point in sweep.points]),
            near=len(sweep.points) - len(sweep.spread),
            near_failed=sum(not point.success for point in sweep.points if point.stage == 2),
        )
    )


def headline(sweep: Sweep) -> str:
    """What stands out."""
    real = [effect.name.replace("_", " ") for effect in sweep.effects if effect.real]
    if not real:
        return "No perturbation stands out"
    named = " and ".join(filter(None, (", ".join(real[:-1]), real[-1])))
    return f"{named[0].upper()}{named[1:]} decide{'s' if len(real) == 1 else ''} whether {sweep.policy} succeeds"


def _label(name: str) -> str:
    axis = AXES[name]
    unit = ("times nominal" if axis.nominal else "times typical") if axis.unit == "x" else axis.unit
    return f"{name.replace('_', ' ')} ({unit})"


def curves(effects: Sequence[AxisEffect]) -> str:
    """Success along each axis, a small plot each."""
    rows = -(-len(effects) // COLUMNS)
    with style():
        figure = Figure(figsize=(2 * PANEL, 0.3 + 2.0 * rows), layout="constrained")
        plots = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
        for axes, effect in zip(plots, effects, strict=False):
            middles = (np.array(effect.edges[:-1]) + effect.edges[1:]) / 2
            colour = LIGHT["recovery" if effect.real else "base"]
            low, high = (100 * np.array([getattr(rate, key) for rate in effect.rates]) for key in ("lo", "hi"))
            axes.fill_between(middles, low, high, color=colour, alpha=0.25, lw=0)
            axes.plot(middles, [100 * rate.p for rate in effect.rates], "o-", color=colour, ms=4, clip_on=False)
            axes.axvline(AXES[effect.name].nominal, color=LIGHT["muted"], lw=1, ls=":")
            axes.set(ylim=(0, 100), xlim=(effect.edges[0], effect.edges[-1]), xlabel=_label(effect.name))
            no_ticks(axes)
        for axes in plots[len(effects) :]:
            axes.set_visible(False)
        plots[0].set_ylabel("success, %")
        return to_svg(figure, "curves")


def sensitivities(effects: Sequence[AxisEffect]) -> str:
    """How much of the outcome each axis decides."""
    with style():
        figure = Figure(figsize=(PANEL, 0.7 + 0.32 * len(effects)), layout="constrained")
        axes = figure.subplots()
        y = -np.arange(len(effects))
        colours = [LIGHT["recovery" if effect.real else "base"] for effect in effects]
        axes.barh(y, [100 * effect.sensitivity for effect in effects], height=0.62, color=colours)
        axes.set(xlabel="% of the variance of success that the axis explains alone", xlim=(0, None))
        named_rows(axes, [effect.name.replace("_", " ") for effect in effects])
        return to_svg(figure, "sensitivities")


def heat(sweep: Sweep, x: AxisEffect, y: AxisEffect) -> str:
    """Success over two axes: cells from the first stage, single episodes of the second on top."""
    with style():
        figure = Figure(figsize=(PANEL, 3.6), layout="constrained")
        axes = figure.subplots()
        wins, counts = _cells([p for p in sweep.spread if p.success], x, y), _cells(sweep.spread, x, y)
        share = np.divide(wins, counts, out=np.full_like(wins, np.nan), where=counts > 0)
        colours = LinearSegmentedColormap.from_list("success", [LIGHT["recovery"], LIGHT["policy"]])
        axes.pcolormesh(x.edges, y.edges, share.T, cmap=colours, vmin=0, vmax=1, alpha=0.6)
        for i, j in np.ndindex(PARTS, PARTS):
            if counts[i, j]:
                corner = x.edges[i], y.edges[j]
                text = f"{wins[i, j]:.0f}/{counts[i, j]:.0f}"
                axes.annotate(text, corner, (3, 3), textcoords="offset points", fontsize=8)
        for success, marker in ((True, "o"), (False, "x")):
            late = [p.values for p in sweep.points if p.stage == 2 and p.success == success]
            axes.scatter([v[x.name] for v in late], [v[y.name] for v in late], s=14, marker=marker,
                         color=LIGHT["ink"], linewidths=0.8 if marker == "x" else 0)  # fmt: skip
        axes.set(xlabel=_label(x.name), ylabel=_label(y.name))
        no_ticks(axes)
        return to_svg(figure, "heat")


def _cells(points: Sequence[Point], x: AxisEffect, y: AxisEffect) -> np.ndarray:
    """How many points lie in each cell, (PARTS, PARTS)."""
    first, second = ([point.values[effect.name] for point in points] for effect in (x, y))
    return np.histogram2d(first, second, bins=[np.array(x.edges), np.array(y.edges)])[0]
