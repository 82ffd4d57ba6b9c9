"""What `steadyhand compare` prints."""

from collections.abc import Sequence

from steadyhand.sim.comparison import ALPHA, Comparison, SuccessTimes
from steadyhand.sim.evaluation_file import EvaluationFile


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table as lines, every column as wide as its widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def p_text(p: float) -> str:
    """A p-value as people write it."""
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


def signed(lo: float, hi: float) -> str:
    """An interval of differences."""
    return f"[{lo:+.3f}, {hi:+.3f}]"


def verdict(p: float, gain: float) -> str:
    """What a corrected p-value allows to say of the second policy."""
    return ("better" if gain > 0 else "worse") if p <= ALPHA else "not told apart"


def verdicts(comparison: Comparison) -> tuple[str, str]:
    """The verdict at the end, and the anytime-valid one."""
    fixed, anytime = comparison.fixed.difference, comparison.anytime.direction
    return verdict(comparison.p_holm, fixed), verdict(comparison.anytime_p_holm, anytime)


def seconds_text(evaluation: EvaluationFile) -> str:
    """Time to success in words."""
    times = SuccessTimes.of(evaluation.rows)
    return f"{times.median:.1f} s ({times.lo:.1f} to {times.hi:.1f})" if times else "-"


def ranges(seeds: Sequence[int]) -> str:
    """Seeds in the shortest form: 1-3, 7."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][1] + 1:
            parts[-1][1] = seed
        else:
            parts.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def report(evaluations: Sequence[EvaluationFile], comparisons: Sequence[Comparison]) -> str:
    """The table for the terminal."""
    first = evaluations[0]
    lines = [f"{first.task} on {first.robot}", ""]
    lines += columns(
        [["policy", "success [Wilson 95 %]", "time to success (middle 80 %)"]]
        + [[e.name, str(e.success), seconds_text(e)] for e in evaluations]
    )
    lines += ["", *_gains(comparisons), ""]
    lines += [f"  {sentence}" for comparison in comparisons for sentence in sentences(comparison)]
    lines += [f"  {note}" for note in notes(evaluations)]
    reasons = list(dict.fromkeys(reason for e in evaluations for reason in e.reasons))
    if reasons:
        head = ["failures", *(e.name for e in evaluations)]
        lines += ["", *columns([head, *([r, *(str(e.reasons.get(r, 0)) for e in evaluations)] for r in reasons)])]
    lines += ["", *columns([[f"seeds of {e.name}", ranges([row.seed for row in e.rows])] for e in evaluations])]
    return "\n".join(lines)


def _gains(comparisons: Sequence[Comparison]) -> list[str]:
    rows = [["gain", "at the end [95 %]", "p", "p (Holm)", "anytime-valid [95 %]", "p", "p (Holm)"]]
    for comparison in comparisons:
        fixed, (lo, hi) = comparison.fixed, comparison.anytime.intervals[-1]
        end = f"{fixed.difference:+.3f} {signed(fixed.lo, fixed.hi)}"
        now = [signed(lo, hi), p_text(comparison.anytime.p), p_text(comparison.anytime_p_holm)]
        name = f"{comparison.second.name} over {comparison.first.name}"
        rows.append([name, end, p_text(comparison.p), p_text(comparison.p_holm), *now])
    return columns(rows)


def sentences(comparison: Comparison) -> list[str]:
    """What a comparison says, in words."""
    first, second = comparison.first.name, comparison.second.name
    said = []
    if pairs := comparison.pairs:
        said.append(
            f"{second} over {first}: paired, {len(comparison.seeds)} common seeds; only {second} solved "
            f"{pairs['helped']}, only {first} {pairs['hurt']}, both {pairs['both']}, neither {pairs['neither']}; "
            f"discordance {(pairs['helped'] + pairs['hurt']) / len(comparison.seeds):.3f}"
        )
        if comparison.left_out:
            said.append(f"  {comparison.left_out} episodes left out: only one of the two has their seeds")
    else:
        said.append(f"{second} over {first}: no common seeds, so not paired (Fisher's exact test, Newcombe's interval)")
    after = comparison.decided_after
    looked = f", after {after} of {len(comparison.anytime.change)} pairs" if after else ""
    end, anytime = verdicts(comparison)
    said.append(f"  at the end: {end}; anytime-valid: {anytime}{looked}")
    if comparison.fixed.lo == comparison.fixed.hi:
        said.append(
            "  every pair went the same way, so the interval at the end has no width; the anytime-valid one has"
        )
    if (change := comparison.seconds_change) is not None:
        said.append(f"  where both succeeded, {second} took {change:+.1f} s (median)")
    return said


def notes(evaluations: Sequence[EvaluationFile]) -> list[str]:
    """What limits the comparison."""
    return [
        f"{e.name} was stopped after {len(e.rows)} of {e.requested} episodes; if that was because of how they went, "
        "only what is anytime-valid holds"
        for e in evaluations
        if len(e.rows) < e.requested
    ]
