"""Plots of the comparison page; each returns an <svg> element."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from steadyhand.report_plots import PANEL, interval
from steadyhand.report_style import LIGHT, no_ticks, style, to_svg
from steadyhand.sim.comparison import ALPHA, Comparison
from steadyhand.sim.evaluation_file import EvaluationFile

PALETTE = ("base", "improved", "recovery", "correction", "policy", "demo", "rewind", "handover")


def colour(number: int) -> str:
    """The colour of the policy with this number; they begin again after eight."""
    return LIGHT[PALETTE[number % len(PALETTE)]]


def gain_name(comparison: Comparison) -> str:
    """What a gain is called beside its bar."""
    return f"{comparison.second.name}\nover {comparison.first.name}"


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """Rows from the top, with their names on the left."""
    axes.set(ylim=(0.6 - len(names), 0.6), yticks=-np.arange(len(names)), yticklabels=names)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    no_ticks(axes)
    axes.tick_params(axis="y", labelcolor=LIGHT["ink"])


def rates(evaluations: Sequence[EvaluationFile]) -> str:
    """Success rates with their intervals."""
    with style():
        figure = Figure(figsize=(PANEL, 0.75 + 0.5 * len(evaluations)), layout="constrained")
        axes = figure.subplots()
        for number, evaluation in enumerate(evaluations):
            rate = evaluation.success
            interval(axes, -number, [100 * x for x in (rate.p, rate.lo, rate.hi)], colour(number), "{:.1f}")
        axes.set(xlim=(0, 100), xlabel="success rate, % (Wilson 95 %)")
        named_rows(axes, [evaluation.name for evaluation in evaluations])
        return to_svg(figure, "rates")


def gains(comparisons: Sequence[Comparison]) -> str:
    """Differences with the interval at the end, and below it the anytime-valid one."""
    with style():
        figure = Figure(figsize=(PANEL, 1.05 + 0.55 * len(comparisons)), layout="constrained")
        axes = figure.subplots()
        for number, comparison in enumerate(comparisons):
            fixed, (lo, hi) = comparison.fixed, 100 * comparison.anytime.intervals[-1]
            label = "anytime-valid" if number == 0 else None
            axes.plot([lo, hi], [-number - 0.22] * 2, color=LIGHT["recovery"], lw=3, solid_capstyle="butt", label=label)
            values = [100 * x for x in (fixed.difference, fixed.lo, fixed.hi)]
            interval(axes, -number, values, LIGHT["improved"], "{:+.1f}")
        axes.plot([], [], color=LIGHT["improved"], lw=9, alpha=0.35, label="at the end")
        axes.axvline(0, color=LIGHT["muted"], lw=1)
        axes.set(xlabel="gain, percentage points (95 % intervals)", xmargin=0.08)
        named_rows(axes, [gain_name(comparison) for comparison in comparisons])
        figure.legend(loc="outside upper right", ncols=2)
        return to_svg(figure, "gains")


def evidence(comparisons: Sequence[Comparison]) -> str:
    """The anytime-valid p-value after each pair, on the way to the decision."""
    level = ALPHA / len(comparisons)
    with style():
        figure = Figure(figsize=(PANEL, 2.4 + 0.17 * len(comparisons)), layout="constrained")  # the legend grows
        axes = figure.subplots()
        for number, comparison in enumerate(comparisons):
            p_values = np.concatenate(([1.0], comparison.anytime.p_values))
            name = gain_name(comparison).replace("\n", " ")
            dashes = ("-", ":", "-.", "--")[number // len(PALETTE) % 4]  # colours have begun again
            axes.step(np.arange(len(p_values)), p_values, where="post", color=colour(number + 1), ls=dashes, label=name)
            if after := comparison.decided_after:
                axes.plot([after], [p_values[after]], "o", color=colour(number + 1), ms=6)
        axes.axhline(level, color=LIGHT["ink"], lw=1, ls="--")
        axes.annotate(f"decides at {level:.3g}", (0, level), (2, 3), textcoords="offset points")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="pairs of episodes", ylabel="anytime-valid p", yscale="log", xlim=(0, None))
        least = min(0.01, 0.5 * level, *(comparison.anytime.p / 2 for comparison in comparisons))
        axes.set(ylim=(max(least, 1e-5), 1.3))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        no_ticks(axes)
        figure.legend(loc="outside upper left", ncols=1)
        return to_svg(figure, "evidence")


def times(evaluations: Sequence[EvaluationFile]) -> str:
    """Share of all episodes that had succeeded by a time."""
    with style():
        figure = Figure(figsize=(PANEL, 2.6), layout="constrained")
        axes = figure.subplots()
        latest = max(row.seconds for evaluation in evaluations for row in evaluation.rows)
        for number, evaluation in enumerate(evaluations):
            seconds = sorted(row.seconds for row in evaluation.rows if row.success)
            share = 100 * np.arange(len(seconds) + 1) / len(evaluation.rows)
            axes.step([0, *seconds, latest], [*share, share[-1]], where="post", color=colour(number))
            axes.lines[-1].set_label(evaluation.name)
        axes.set(xlabel="simulated time, s", ylabel="succeeded by then, %", xlim=(0, latest), ylim=(0, 100))
        no_ticks(axes)
        figure.legend(loc="outside upper left", ncols=min(3, len(evaluations)))
        return to_svg(figure, "times")


def reasons(evaluations: Sequence[EvaluationFile]) -> str | None:
    """How many of a hundred episodes ended for each reason, or None if none failed."""
    names = list(dict.fromkeys(reason for evaluation in evaluations for reason in evaluation.reasons))
    if not names:
        return None
    height = 0.8 / len(evaluations)
    with style():
        figure = Figure(figsize=(PANEL, 0.75 + len(names) * max(0.3, 0.2 * len(evaluations))), layout="constrained")
        axes = figure.subplots()
        for number, evaluation in enumerate(evaluations):
            counts = [evaluation.reasons.get(name, 0) for name in names]
            where = -np.arange(len(names)) + 0.4 - (number + 0.5) * height
            shares = [100 * count / len(evaluation.rows) for count in counts]
            bars = axes.barh(where, shares, height=0.9 * height, color=colour(number), label=evaluation.name)
            axes.bar_label(bars, labels=[str(count) for count in counts], padding=3)
        axes.set(xlabel="% of the policy's episodes (labels: how many)", xmargin=0.1)
        named_rows(axes, [name.replace("_", " ") for name in names])
        figure.legend(loc="outside upper left", ncols=min(3, len(evaluations)), handlelength=0.8)
        return to_svg(figure, "reasons")
