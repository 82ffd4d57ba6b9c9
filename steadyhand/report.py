"""The demo's last step: one page that shows what happened, with everything it needs inside."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from steadyhand import report_plots as plots
from steadyhand.data_collection.labels import Segment
from steadyhand.report_data import Recording, Track, load_videos, read_evaluation, read_losses
from steadyhand.report_style import css_variables

TEMPLATES = Path(__file__).parent / "templates"
RATE = ("k", "n", "p", "lo", "hi")
WORDS = {
    "published": "state messages published",
    "received": "of them received",
    "max_gap_ms": "longest gap between messages, ms",
    "targets_received": "target poses the twin received",
    "real_time_factor": "simulated seconds per second",
    "overruns": "control ticks that came late",
    "scheduler": "scheduler of the control thread",
}


def write_report(folder: Path, summary: dict) -> Path:
    """Write folder/report.html: self-contained, and naming every part that is missing.

    Args:
        folder: What a demo left: demos/, interventions/, base/, improved/, eval_base/, eval_improved/, videos/, ros/.
        summary: Content of summary.json.
    """
    templates = environment()
    templates.filters |= {"percent": percent, "points": points, "count": count, "word": word}
    page = templates.get_template("report.html").render(
        summary=summary,
        folder=folder,
        segments=[segment.name.lower() for segment in Segment],
        summary_json=json.dumps(summary, indent=1),
        **_headline(summary),
        **_evaluations(folder, summary),
        **_training(folder),
        **_recordings(folder, summary),
        **_videos(folder),
        **_tables(folder, summary),
    )
    path = folder / "report.html"
    partial = folder / "report.html.part"
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def environment() -> jinja2.Environment:
    """Where templates are found; what comes from outside is escaped in them, and nothing may be missing."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    made.globals |= {"light": Markup(css_variables(dark=False)), "dark": Markup(css_variables(dark=True))}
    return made


def percent(fraction: float) -> str:
    """0.853 -> 85.3."""
    return f"{100 * fraction:.1f}"


def points(fraction: float) -> str:
    """0.353 -> +35.3, percentage points."""
    return f"{100 * fraction:+.1f}".replace("-", "−")


def count(number: float) -> str:
    """12345 -> 12,345."""
    return f"{number:,}"


def word(name: str) -> str:
    """What a key of the summary is called in the page."""
    return WORDS.get(name, name.replace("_", " "))


def _headline(summary: dict) -> dict:
    base, improved, gain = summary.get("success_base"), summary.get("success_improved"), summary.get("gain")
    return {
        "base": base,
        "improved": improved,
        "gain": gain,
        "verdict": _verdict(gain) if gain else None,
        "success_plot": Markup(plots.success(base, improved, gain)) if base and improved and gain else None,
    }


def _verdict(gain: dict) -> str:
    if gain["lo"] > 0:
        return "The whole interval lies above zero: the second policy is better than the first here."
    if gain["hi"] < 0:
        return "The whole interval lies below zero: the second policy is worse than the first here."
    return "The interval contains zero: this run does not show that the second policy is better."


def _evaluations(folder: Path, summary: dict) -> dict:
    runs = {name: read_evaluation(folder / f"eval_{name}") for name in ("base", "improved")}
    found: dict[str, dict] = {name: run for name, run in runs.items() if run}
    differing = [
        f"eval_{name}/eval.json"
        for name, run in found.items()
        if [run["success"][key] for key in RATE] != [(summary.get(f"success_{name}") or {}).get(key) for key in RATE]
    ]
    reasons = {name: run["reasons"] for name, run in found.items()}
    both = len(found) == 2
    return {
        "evaluations": runs,
        "differing": differing,
        "pairs_plot": Markup(plots.pairs(_pairs(found["base"], found["improved"]))) if both else None,
        "reasons_plot": Markup(plots.reasons(**reasons)) if both and any(reasons.values()) else None,
        "any_failure": any(reasons.values()),
    }


def _pairs(base: dict, improved: dict) -> dict[str, int]:
    """What became of the seeds that both policies had."""
    before = {episode["seed"]: bool(episode["success"]) for episode in base["episodes"]}
    after = {episode["seed"]: bool(episode["success"]) for episode in improved["episodes"]}
    outcomes = [(before[seed], after[seed]) for seed in before if seed in after]
    keys = {"both": (True, True), "helped": (False, True), "hurt": (True, False), "neither": (False, False)}
    return {name: outcomes.count(key) for name, key in keys.items()}


def _training(folder: Path) -> dict:
    losses = {name: read_losses(folder / name) for name in ("base", "improved")}
    found = {name: rows for name, rows in losses.items() if rows is not None}
    return {
        "curves_plot": Markup(plots.curves(found)) if found else None,
        "curves_missing": [name for name, rows in losses.items() if rows is None],
    }


def _recordings(folder: Path, summary: dict) -> dict:
    demos, interventions = (Recording.open(folder / name) for name in ("demos", "interventions"))
    found = {"demonstrations": demos, "supervised": interventions}
    frames = {name: _frames(recording) for name, recording in found.items() if recording}
    return {
        "demos": demos,
        "interventions": interventions,
        "frames_plot": Markup(plots.frames_by_segment(frames)) if frames else None,
        **_intervention(folder, summary, interventions),
        **_tracking(demos),
        "demos_plot": Markup(plots.from_above(demos.tracks, "demos")) if demos else None,
        "supervised_plot": Markup(plots.from_above(interventions.tracks, "supervised")) if interventions else None,
        "paths": plots.PATHS,
    }


def _frames(recording: Recording) -> np.ndarray:
    return np.bincount(recording.frames.columns["segment"], minlength=len(Segment))


def _intervention(folder: Path, summary: dict, recording: Recording | None) -> dict:
    """The episode for the time line: the one that was filmed if there is one, else the first that ended well."""
    helped = [track for track in recording.tracks if track.helped] if recording else []
    if not helped:
        return {"helped": [], "track": None, "timeline_plot": None, "reason": None, "takeover": None}
    filmed = {path.stem for path in (folder / "videos").glob("intervention_*.mp4")}
    track = min(helped, key=lambda t: (f"intervention_{t.row['seed']}" not in filmed, not t.row["success"]))
    reasons = (summary.get("interventions") or {}).get("takeovers", {})
    reason = reasons.get(str(track.row["seed"]))
    takeover = next(begin for segment, begin, _ in track.spans() if segment in (Segment.RECOVERY, Segment.CORRECTION))
    return {
        "helped": helped,
        "track": track,
        "timeline_plot": Markup(plots.timeline(track, reason)),
        "reason": reason,
        "takeover": takeover,
    }


def _tracking(demos: Recording | None) -> dict:
    if not demos:
        return {"tracked": None, "tracking_plot": None, "errors_plot": None, "distances": None}
    track: Track = demos.tracks[0]
    pairs = [plots.tracking_error(each) for each in demos.tracks]
    requested, applied = (1e3 * np.concatenate(parts) for parts in zip(*pairs, strict=True))
    distances = {
        name: {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}
        for name, values in (("requested", requested), ("applied", applied))
    }
    return {
        "tracked": track,
        "tracking_plot": Markup(plots.tracking(track)),
        "errors_plot": Markup(plots.errors(track)),
        "distances": distances,
    }


def _videos(folder: Path) -> dict:
    videos, left_out = load_videos(folder)
    return {"videos": videos, "videos_left_out": left_out}


def _tables(folder: Path, summary: dict) -> dict:
    ros = dict(summary.get("ros") or {})
    if ros and summary.get("real_time_factor") is not None:
        ros["real_time_factor"] = summary["real_time_factor"]
    machine = summary.get("machine") or {}
    seeds = summary.get("seeds") or {}
    return {
        "ros": _rows(ros),
        "ros_recording": Recording.open(folder / "ros" / "dataset"),
        "machine": _rows(machine if isinstance(machine, Mapping) else {"machine": machine}),
        "seeds": _rows(seeds),
        "settings": _rows(summary.get("settings") or {}),
        "stages": summary.get("stages") or {},
        "commands": _commands(folder, summary),
    }


def _rows(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested table as lines of name and value."""
    rows = []
    for name, value in table.items():
        label = f"{prefix}{word(name)}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{label}: ")
        else:
            rows.append((label, ("no", "yes")[value] if isinstance(value, bool) else str(value)))
    return rows


def _commands(folder: Path, summary: dict) -> list[tuple[str, str]]:
    """How to do again what the page shows."""
    commands = [("all of it", f"steadyhand demo --output {folder.name}_again")]
    evaluated = summary.get("success_improved")
    seed = (summary.get("seeds") or {}).get("evaluation")
    if evaluated and seed is not None:
        where = f"--robot {summary['robot']} --task {summary['task']} --episodes {evaluated['n']} --seed {seed}"
        for name, label in (("base", "the first policy"), ("improved", "the second policy")):
            command = f"steadyhand eval --policy {folder / name} {where} --output eval_{name}_again"
            commands.append((f"evaluate {label} on the same seeds", command))
    return commands
