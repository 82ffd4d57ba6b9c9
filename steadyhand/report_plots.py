"""The report's plots; each returns an <svg> element."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from steadyhand.data_collection.labels import Segment
from steadyhand.report_data import Track
from steadyhand.report_style import LIGHT, SEGMENT, no_ticks, style, to_svg

PANEL = 4.3  # in, width of a plot that also fits a phone
PATHS = 40  # episodes drawn from above, at most


def success(base: dict, improved: dict, gain: dict) -> str:
    """Both success rates with their intervals, and below the paired gain with its interval."""
    with style():
        figure = Figure(figsize=(PANEL, 2.5), layout="constrained")
        rates, change = figure.subplots(2, 1, height_ratios=[2, 1])
        for y, rate, colour in ((1, base, LIGHT["base"]), (0, improved, LIGHT["improved"])):
            interval(rates, y, [100 * rate[key] for key in ("p", "lo", "hi")], colour, "{:.1f}")
        rates.set(xlim=(0, 100), ylim=(-0.6, 1.6), yticks=[1, 0], yticklabels=["before", "after"])
        rates.set_xlabel("success rate, % (95 % interval)")
        interval(change, 0, [100 * gain[key] for key in ("difference", "lo", "hi")], LIGHT["ink"], "{:+.1f}")
        low, high = min(0, 100 * gain["lo"]), max(0, 100 * gain["hi"])
        change.axvline(0, color=LIGHT["muted"], lw=1)
        margin = 0.08 * max(high - low, 10)
        change.set(xlim=(low - margin, high + margin), ylim=(-0.6, 0.6), yticks=[0], yticklabels=["gain"])
        change.set_xlabel("paired difference, percentage points (95 % interval)")
        for axes in (rates, change):
            axes.grid(axis="y", visible=False)
            no_ticks(axes)
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", labelcolor=LIGHT["ink"], labelsize=9.5)
        return to_svg(figure, "success")


def interval(axes: Axes, y: float, values: Sequence[float], colour: str, text: str) -> None:
    """A dot with its value, and a bar for its interval; values: middle, low, high."""
    middle, low, high = values
    axes.plot([low, high], [y, y], color=colour, lw=9, alpha=0.35, solid_capstyle="butt")
    axes.plot([middle], [y], "o", color=colour, ms=8, clip_on=False)
    label = text.format(middle).replace("-", "−")
    axes.annotate(label, (middle, y), (0, 8), textcoords="offset points", ha="center", weight="bold")


def pairs(counts: dict[str, int]) -> str:
    """One bar cut into what became of the same episodes under both policies."""
    colours = {"both": LIGHT["improved"], "helped": LIGHT["improved"], "hurt": LIGHT["base"], "neither": LIGHT["line"]}
    labels = {"both": "both policies", "helped": "only after", "hurt": "only before", "neither": "neither"}
    with style():
        figure = Figure(figsize=(PANEL, 1.25), layout="constrained")
        axes, left = figure.subplots(), 0
        for key, count in counts.items():
            alpha = 0.4 if key == "both" else 1.0
            axes.barh(0, count, left=left, color=colours[key], alpha=alpha, label=f"{labels[key]}: {count}", height=0.8)
            left += count
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlim=(0, left), yticks=[], xlabel=f"{left} episodes: solved by …")
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        no_ticks(axes)
        figure.legend(loc="outside upper left", ncols=4, handlelength=0.8, columnspacing=1.0)
        return to_svg(figure, "pairs")


def reasons(base: dict[str, int], improved: dict[str, int]) -> str:
    """How often each reason ended an episode, before and after."""
    names = sorted({**base, **improved}, key=lambda name: (base.get(name, 0), improved.get(name, 0)))
    with style():
        figure = Figure(figsize=(PANEL, 0.75 + 0.46 * len(names)), layout="constrained")
        axes = figure.subplots()
        for shift, counts, key, label in ((0.19, base, "base", "before"), (-0.19, improved, "improved", "after")):
            values = [counts.get(name, 0) for name in names]
            bars = axes.barh(np.arange(len(names)) + shift, values, height=0.34, color=LIGHT[key], label=label)
            axes.bar_label(bars, padding=3)
        axes.set(yticks=range(len(names)), yticklabels=[name.replace("_", " ") for name in names])
        axes.set(xlabel="failed episodes", xmargin=0.1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", labelcolor=LIGHT["ink"])
        no_ticks(axes)
        figure.legend(loc="outside upper right", ncols=2, handlelength=0.8)
        return to_svg(figure, "reasons")


def curves(runs: dict[str, np.ndarray]) -> str:
    """Training loss over steps; runs: "base" or "improved" -> (rows, 2) step and loss."""
    labels = {"base": "before", "improved": "after"}
    with style():
        figure = Figure(figsize=(PANEL, 2.6), layout="constrained")
        axes = figure.subplots()
        for name, rows in runs.items():
            axes.plot(rows[:, 0], rows[:, 1], color=LIGHT[name], label=labels[name])
        axes.set(xlabel="training step", ylabel="flow-matching loss", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        no_ticks(axes)
        axes.legend()
        return to_svg(figure, "curves")


def timeline(track: Track, reason: str | None) -> str:
    """One episode with an intervention: heights, gripper and contact force over time, coloured by segment."""
    with style():
        figure = Figure(figsize=(8.6, 5.2), layout="constrained")
        bar, heights, gripper, force = figure.subplots(4, 1, sharex=True, height_ratios=[0.34, 3, 1.2, 1.7])
        _segment_bar(bar, track)
        state = track.columns["observation.state"]
        heights.plot(track.time, state[:, 2], color=LIGHT["ink"], label="tool")
        for name, dashes in zip(track.objects, ("--", ":", "-.") * len(track.objects), strict=False):
            heights.plot(track.time, track.seen(f"{name}.z"), color=LIGHT["ink"], ls=dashes, label=name)
        low, high = heights.get_ylim()
        heights.set(ylabel="height, m", ylim=(low, high + 0.15 * (high - low)))  # the legend is there
        heights.legend(loc="upper center", ncols=4)
        gripper.plot(track.time, track.columns["action"][:, 9], color=LIGHT["muted"], lw=1, ls="--", label="requested")
        gripper.plot(track.time, state[:, 9], color=LIGHT["ink"], label="measured")
        gripper.set(ylabel="gripper", ylim=(-0.1, 1.75), yticks=[0, 1], yticklabels=["closed", "open"])
        gripper.legend(loc="upper center", ncols=2)
        force.plot(track.time, state[:, 12], color=LIGHT["ink"])
        force.set(ylabel="contact force z, N", xlabel="time, s", xlim=(0, track.spans()[-1][2]))
        for axes in (heights, gripper, force):
            no_ticks(axes)
            _shade(axes, track)
        _annotate_takeover(heights, track, reason)
        figure.align_ylabels()
        return to_svg(figure, "timeline")


def _segment_bar(axes: Axes, track: Track) -> None:
    end = track.spans()[-1][2]
    for segment, begin, stop in track.spans():
        axes.barh(0, stop - begin, left=begin, color=SEGMENT[segment], height=1)
        # A name that is longer than its bar goes to the left, over the end of the bar before it.
        x, side, gap = (begin, "left", 0) if stop - begin > end / 9 or begin < end / 9 else (stop, "right", -8)
        place: dict[str, Any] = {"xytext": (gap, 3), "textcoords": "offset points", "annotation_clip": False}
        axes.annotate(segment.name.lower(), (x, 0.5), ha=side, va="bottom", weight="bold", **place)
    axes.set_axis_off()
    axes.set(ylim=(-0.5, 0.5))


def _shade(axes: Axes, track: Track) -> None:
    for segment, begin, end in track.spans():
        axes.axvspan(begin, end, color=SEGMENT[segment], alpha=0.13, lw=0)


def _annotate_takeover(axes: Axes, track: Track, reason: str | None) -> None:
    """A line where the policy lost the arm, and why."""
    begin = next((begin for segment, begin, _ in track.spans() if segment != Segment.POLICY), None)
    if begin is None:
        return
    text = "takeover" + (f": {reason.replace('_', ' ')}" if reason else "")
    axes.axvline(begin, color=LIGHT["ink"], lw=1)
    left = begin > track.spans()[-1][2] / 3
    axes.annotate(
        f"{text} ▸" if left else f"◂ {text}", (begin, 0.62), (-6 if left else 6, 0),
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if left else "left", weight="bold",
    )  # fmt: skip


def frames_by_segment(counts: dict[str, np.ndarray]) -> str:
    """Who decided how many frames of each dataset; counts: dataset -> (6,) frames per segment."""
    with style():
        figure = Figure(figsize=(PANEL, 0.85 + 0.5 * len(counts)), layout="constrained")
        axes = figure.subplots()
        seen = [segment for segment in Segment if any(row[segment] for row in counts.values())]
        left = np.zeros(len(counts))
        for segment in seen:
            values = np.array([row[segment] for row in counts.values()])
            label = segment.name.lower()
            axes.barh(list(counts), values, left=left, color=SEGMENT[segment], label=label, height=0.62)
            left += values
        axes.invert_yaxis()
        axes.set(xlabel="recorded frames")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", labelcolor=LIGHT["ink"])
        no_ticks(axes)
        figure.legend(loc="outside upper right", ncols=len(seen), handlelength=0.8, columnspacing=1.0)
        return to_svg(figure, "frames")


def tracking_error(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """How far the tool was, one period after each decision, from what was requested and applied, (T-1,) m each."""
    measured = track.tool[1:]
    requested, applied = track.columns["action"][:-1, :3], track.columns["action_applied"][:-1, :3]
    return np.linalg.norm(measured - requested, axis=1), np.linalg.norm(measured - applied, axis=1)


def tracking(track: Track) -> str:
    """Requested, applied and measured tool position over time."""
    with style():
        figure = Figure(figsize=(PANEL, 3.5), layout="constrained")
        time = track.time[1:]  # a request is compared with what is measured one period later
        for i, axes in enumerate(panels := figure.subplots(3, 1, sharex=True)):
            axes.plot(time, track.columns["action"][:-1, i], color=LIGHT["base"], lw=3, alpha=0.6, label="requested")
            axes.plot(time, track.columns["action_applied"][:-1, i], color=LIGHT["improved"], ls="--", label="applied")
            axes.plot(time, track.tool[1:, i], color=LIGHT["ink"], lw=1, label="measured")
            axes.set(ylabel=f"{'xyz'[i]}, m")
            no_ticks(axes)
        axes.set(xlabel="time, s", xlim=(0, time[-1]))
        figure.align_ylabels()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return to_svg(figure, "tracking")


def errors(track: Track) -> str:
    """Distance between where the tool should be and where it is, over time."""
    requested, applied = tracking_error(track)
    with style():
        figure = Figure(figsize=(PANEL, 3.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(track.time[1:], 1e3 * requested, color=LIGHT["base"], lw=2, label="measured − requested")
        axes.plot(track.time[1:], 1e3 * applied, color=LIGHT["improved"], label="measured − applied")
        axes.set(xlabel="time, s", ylabel="distance, mm", ylim=(0, None), xlim=(0, track.time[-1]))
        no_ticks(axes)
        figure.legend(loc="outside upper left", ncols=2)
        return to_svg(figure, "errors")


def from_above(tracks: Sequence[Track], name: str) -> str:
    """Tool paths from above, coloured by segment; objects where they were seen at the start."""
    with style():
        figure = Figure(figsize=(PANEL, 2.45), layout="constrained")
        axes = figure.subplots()
        for track in tracks[:PATHS]:
            for segment, begin, end in track.spans():
                points = track.tool[round(begin * track.fps) : round(end * track.fps) + 1, 1::-1]
                width = 1.5 if segment in (Segment.RECOVERY, Segment.CORRECTION) else 0.8
                axes.plot(*points.T, color=SEGMENT[segment], alpha=0.5, lw=width, zorder=2 + segment / 10)
        markers = zip(tracks[0].objects, "so^Dv" * len(tracks[0].objects), strict=False)
        for i, (thing, marker) in enumerate(markers):
            starts = np.array([[track.seen(f"{thing}.{axis}")[0] for axis in "yx"] for track in tracks[:PATHS]])
            face = LIGHT["ink"] if i else "none"
            dots: dict[str, Any] = {"marker": marker, "s": 13, "facecolor": face, "edgecolor": LIGHT["ink"], "lw": 0.7}
            axes.scatter(*starts.T, zorder=2.2, label=f"{thing} at the start", **dots)
        axes.set(xlabel="y, m (to the robot's left)", ylabel="x, m (ahead)", aspect="equal")
        axes.invert_xaxis()  # as seen from behind the robot
        no_ticks(axes)
        if tracks[0].objects:
            figure.legend(loc="outside upper left", ncols=len(tracks[0].objects), handletextpad=0.2)
        return to_svg(figure, name)
