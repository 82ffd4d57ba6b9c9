"""The comparison as one HTML page with everything it needs inside."""

from collections.abc import Sequence

from markupsafe import Markup

from steadyhand import compare_plots as plots
from steadyhand.compare_text import notes, p_text, ranges, seconds_text, sentences, signed, verdicts
from steadyhand.report import environment
from steadyhand.sim.comparison import ALPHA, Comparison
from steadyhand.sim.evaluation_file import EvaluationFile


def page(evaluations: Sequence[EvaluationFile], comparisons: Sequence[Comparison]) -> str:
    """The page as text."""
    reasons = plots.reasons(evaluations)
    template = environment().get_template("compare.html")
    return template.render(
        task=evaluations[0].task,
        robot=evaluations[0].robot,
        headline=headline(comparisons),
        alpha=f"{ALPHA / len(comparisons):.3g}",
        paired=any(comparison.paired for comparison in comparisons),
        unpaired=any(not comparison.paired for comparison in comparisons),
        rates_plot=Markup(plots.rates(evaluations)),
        gains_plot=Markup(plots.gains(comparisons)),
        evidence_plot=Markup(plots.evidence(comparisons)),
        times_plot=Markup(plots.times(evaluations)),
        reasons_plot=Markup(reasons) if reasons else None,
        policies=[policy(evaluation) for evaluation in evaluations],
        gains=[gain(comparison) for comparison in comparisons],
        sentences=[[sentence.strip() for sentence in sentences(comparison)] for comparison in comparisons],
        notes=notes(evaluations),
    )


def headline(comparisons: Sequence[Comparison]) -> str:
    """The result in one sentence; of several comparisons how many have one."""
    if len(comparisons) == 1:
        only, (end, _) = comparisons[0], verdicts(comparisons[0])
        if end == "not told apart":
            return f"{only.second.name} and {only.first.name} cannot be told apart with these episodes"
        return f"{only.second.name} is {end} than {only.first.name} here"
    told = sum(verdicts(comparison)[0] != "not told apart" for comparison in comparisons)
    return f"{told} of {len(comparisons)} comparisons tell the policies apart"


def policy(evaluation: EvaluationFile) -> dict[str, str]:
    """A policy's row in the table."""
    return {
        "name": evaluation.name,
        "what": f"{evaluation.policy} {evaluation.version}".strip(),
        "success": str(evaluation.success),
        "seconds": seconds_text(evaluation),
        "seeds": ranges([row.seed for row in evaluation.rows]),
        "file": str(evaluation.path),
    }


def gain(comparison: Comparison) -> dict[str, str]:
    """A comparison's row in the table."""
    fixed, (lo, hi) = comparison.fixed, comparison.anytime.intervals[-1]
    end, anytime = verdicts(comparison)
    return {
        "name": f"{comparison.second.name} over {comparison.first.name}",
        "difference": f"{fixed.difference:+.3f}",
        "interval": signed(fixed.lo, fixed.hi),
        "p": p_text(comparison.p),
        "p_holm": p_text(comparison.p_holm),
        "verdict": end,
        "anytime_interval": signed(lo, hi),
        "anytime_p": p_text(comparison.anytime.p),
        "anytime_p_holm": p_text(comparison.anytime_p_holm),
        "anytime_verdict": anytime,
    }
