"""`steadyhand data check` and `data score`: what is broken in a dataset, and what looks worse than the rest."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tyro.conf import Positional

from steadyhand.data_collection.exclusion import write_exclusions
from steadyhand.data_collection.quality_checks import CHECKS, Verdict, check, verdicts
from steadyhand.data_collection.quality_data import NotApplicableError, load_recorded
from steadyhand.data_collection.quality_scores import METRICS, Score, score, worst_first
from steadyhand.errors import SteadyhandError

SHOWN = 10  # episodes of the table


@dataclass(frozen=True)
class CheckConfig:
    """Look for hard faults in a LeRobot v3 dataset, ours or not. Exit status 0: none; 1: some; 2: cannot be checked."""

    dataset: Positional[Path]
    """Folder of the dataset."""
    json: Path | None = None
    """Write the findings there as well."""
    replay: bool = False
    """Also replay every episode in the twin: do its actions lead to the recorded states? Needs the seeds of a twin."""
    exclude_list: str | None = None
    """Put the episodes to exclude into this list for `steadyhand train --exclude`; auto: the one in the dataset."""


@dataclass(frozen=True)
class ScoreConfig:
    """Rank the episodes of a LeRobot v3 dataset by how unlike good ones they look, class by class of segments."""

    dataset: Positional[Path]
    """Folder of the dataset."""
    output: Path
    """New folder for score.json and score.html."""
    exclude_list: str | None = None
    """Put the worst into this list for `steadyhand train --exclude`; auto: the one in the dataset."""
    worst: float = 0.1
    """Share of the episodes that go into the list."""


def check_command(config: CheckConfig) -> int:
    """Check, print, write; returns 1 if anything was found."""
    recorded = load_recorded(config.dataset)
    more, replays = {}, []
    if config.replay:
        from steadyhand.data_collection.feasibility import Feasibility  # here: MuJoCo takes a while to import

        feasibility = more["replay"] = Feasibility()
        replays = feasibility.figures
    findings, skipped = check(recorded, more)
    verdict = verdicts(findings, len(recorded.rows))
    for figures in replays:
        print(f"episode {figures.episode:<4} replayed: {figures}")
    for finding in findings:
        print(f"episode {finding.episode:<4} {finding.verdict.name:<8} {finding.check}: {finding.what}")
    for name, why in skipped.items():
        print(f"not applicable: {name} ({why})")
    counts = Counter(verdict)
    print(
        f"{len(verdict)} episodes, {len(CHECKS) + len(more) - len(skipped)} checks: "
        + ", ".join(f"{counts[kind]} {kind.name}" for kind in Verdict)
    )
    if config.json:
        content = {
            "schema": "steadyhand.check/1",
            "dataset": str(config.dataset),
            "verdicts": [kind.name for kind in verdict],
            "findings": [finding._asdict() | {"verdict": finding.verdict.name} for finding in findings],
            "not_applicable": skipped,
            "replays": [figures._asdict() for figures in replays],
        }
        config.json.parent.mkdir(parents=True, exist_ok=True)
        config.json.write_text(json.dumps(content, indent=1) + "\n")
    if config.exclude_list:
        reasons = {f.episode: f"{f.check}: {f.what}" for f in findings if f.verdict == Verdict.EXCLUDE}
        _list(config.exclude_list, config.dataset, "check", reasons)
    return int(bool(findings))


def score_command(config: ScoreConfig) -> None:
    """Score, print the worst, write the files."""
    if not 0 < config.worst < 1:
        raise SteadyhandError(f"--worst is {config.worst:g}; allowed: a share between 0 and 1, such as 0.1")
    from steadyhand.data_collection.quality_page import page  # matplotlib takes a second to import
    from steadyhand.sim.evaluate import new_folder

    recorded = load_recorded(config.dataset)
    try:
        scores, skipped = score(recorded)
    except NotApplicableError as missing:
        raise SteadyhandError(f"dataset '{config.dataset}' cannot be scored: {missing}") from None
    ordered = worst_first(scores)
    if not ordered:
        why = "; ".join(f"{name}: {what}" for name, what in skipped.items()) or "no segment that can be compared"
        raise SteadyhandError(f"dataset '{config.dataset}' cannot be scored: {why}")
    findings, _ = check(recorded)
    output = new_folder(config.output)
    content = {
        "schema": "steadyhand.score/1",
        "dataset": str(config.dataset),
        "metrics": list(METRICS),
        "episodes": [asdict(entry) for entry in scores],
        "not_compared": skipped,
    }
    (output / "score.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    (output / "score.html").write_text(page(config.dataset, scores, skipped, findings), encoding="utf-8")
    print(table(ordered[:SHOWN]))
    for name, why in skipped.items():
        print(f"not compared: {name} ({why})")
    if config.exclude_list:
        count = round(config.worst * len(ordered))
        reasons = {entry.episode: f"score {entry.score:.2f}" for entry in ordered[:count]}
        _list(config.exclude_list, config.dataset, "score", reasons)
    print(f"written: {output / 'score.html'}, {output / 'score.json'}")


def table(scores: list[Score]) -> str:
    """A line per episode and class."""
    lines = [f"{'episode':>7} {'score':>6}  {'class':<10}" + "".join(f"{name:>12}" for name in METRICS)]
    for entry in scores:
        start = f"{entry.episode:>7} {entry.score:6.2f}"
        for name, metrics in entry.classes.items():
            lines.append(f"{start}  {name:<10}" + "".join(map(_cell, metrics.values())))
            start = " " * len(start)
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-':>12}" if value is None else f"{value:12.3g}"


def _list(given: str, dataset: Path, by: str, reasons: dict[int, str]) -> None:
    file = write_exclusions(given, dataset, by, reasons)
    print(f"exclude list: {file} ({len(reasons)} episodes by {by})")
