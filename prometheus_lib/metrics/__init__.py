"""The paper's metrics, their variants, and the intervals and tests behind every number.

Everything here works on plain columns (lists, numpy, pandas), so it runs from judgment files alone, for any judge.

| module | what |
|---|---|
| `columns` | what people hand in: missing values, labels, which values belong together |
| `agreement`, `alpha` | correlations of scores, Cohen's kappa; Krippendorff's alpha |
| `truth` | scores against the true ones; what the noise of a rater leaves to reach |
| `accuracy`, `transitivity` | pairwise ranking: accuracy, both orders, win rates; transitivity |
| `bootstrap`, `combining` | intervals by cluster; averages of several, and which is best |
| `comparisons` | two judges on the same items: paired tests, Holm, how many more judgments would tell |
| `power` | which difference a benchmark can show, known before anything is judged |
| `simultaneous` | many differences at once: intervals that hold together, and tests for no difference to speak of |
| `runs` | several training runs on the same items: the runs as the unit, and two ways |
| `training_runs` | the two-way interval of any statistic that has resamples |
| `bradley_terry` | rankings from pairs, and how many pairs are needed |
| `length_controlled` | a win rate as it would be were both responses equally long |
| `prediction_powered` | a mean by people's labels of some items and a judge's scores of all |
| `counting` | statistics of many resamples at once |

- Two pandas objects are matched by their index, everything else by position (`columns` has the rule in full).
- Shares (accuracies, win rates, transitivity) are fractions from 0 to 1; tables multiply by 100 for the
  paper's form.
- A decision or score that could not be read is missing: None, NaN or pandas' NA. A statistic that is undefined
  (constant input, one item) is NaN, without warning. Input that cannot be meant is a DataError (a ValueError) that
  names the column and the place.
- Where the paper's text, its released code and the sound rule differ, each has a function of its own:
  `paper-text` (`text_mixture_decisions`, `transitivity`), `paper-code` (`code_label_aware_decisions`,
  `released_code_transitivity`), `corrected` (`pairwise_accuracy`, which states its tie rule, and
  `transitivity` with its chains counted by kind).
- Intervals are percentile bootstrap intervals that resample whole clusters (instructions). Cluster counts are
  drawn once per (number of clusters, seed), so two judges on the same items always meet the same resamples.
"""

from .accuracy import (
    TIE_RULES,
    Accuracy,
    Consistency,
    TieRule,
    WinRate,
    accuracy_by_tie_rule,
    both_orders_accuracy,
    code_label_aware_accuracy,
    code_label_aware_decisions,
    combine_orders,
    direct_to_pair,
    item_credits,
    pairwise_accuracy,
    position_consistency,
    text_mixture_decisions,
    win_rate,
)
from .agreement import CORRELATIONS, Correlations, Kind, cohen_kappa, correlations, mean_scores
from .alpha import LEVELS, krippendorff_alpha
from .bootstrap import (
    Interval,
    bootstrap_alpha,
    bootstrap_correlation,
    bootstrap_interval,
    bootstrap_mean,
    bootstrap_means,
    bootstrap_partial,
    bootstrap_ratio,
    interval_of_draws,
)
from .bradley_terry import Ranking, bradley_terry, games_needed, sparse_pairs
from .columns import Floats
from .combining import average, average_over_runs, best_candidate, best_shares
from .comparisons import (
    FEWEST_CLUSTERS,
    TOO_FEW,
    Comparison,
    compare_accuracies,
    compare_correlations,
    compare_intervals,
    compare_many_accuracies,
    compare_with,
    decide,
    difference,
    holm,
    holm_factors,
    more_needed,
    with_item_test,
)
from .length_controlled import length_controlled_win_rate
from .power import detectable, paired_spread, power
from .prediction_powered import Corrected, corrected_mean
from .runs import RunsMean, over_runs
from .simultaneous import Joint, simultaneous
from .training_runs import FEWEST_RUNS, OverRuns, over_training_runs
from .transitivity import Transitivity, released_code_transitivity, transitivity, transitivity_by_group
from .truth import absolute_errors, exact_credits, noise_ceiling

__all__ = [
    "Accuracy",
    "CORRELATIONS",
    "Comparison",
    "Consistency",
    "Corrected",
    "Correlations",
    "FEWEST_CLUSTERS",
    "FEWEST_RUNS",
    "Floats",
    "Interval",
    "Joint",
    "Kind",
    "LEVELS",
    "OverRuns",
    "RunsMean",
    "Ranking",
    "TIE_RULES",
    "TOO_FEW",
    "TieRule",
    "Transitivity",
    "WinRate",
    "absolute_errors",
    "accuracy_by_tie_rule",
    "average",
    "average_over_runs",
    "best_candidate",
    "best_shares",
    "bootstrap_alpha",
    "bootstrap_correlation",
    "bootstrap_interval",
    "bootstrap_mean",
    "bootstrap_means",
    "bootstrap_partial",
    "bootstrap_ratio",
    "both_orders_accuracy",
    "bradley_terry",
    "code_label_aware_accuracy",
    "code_label_aware_decisions",
    "cohen_kappa",
    "combine_orders",
    "compare_accuracies",
    "compare_correlations",
    "compare_intervals",
    "compare_many_accuracies",
    "compare_with",
    "corrected_mean",
    "length_controlled_win_rate",
    "correlations",
    "decide",
    "detectable",
    "difference",
    "direct_to_pair",
    "exact_credits",
    "games_needed",
    "holm",
    "holm_factors",
    "interval_of_draws",
    "item_credits",
    "krippendorff_alpha",
    "mean_scores",
    "more_needed",
    "noise_ceiling",
    "over_runs",
    "over_training_runs",
    "paired_spread",
    "pairwise_accuracy",
    "position_consistency",
    "power",
    "released_code_transitivity",
    "simultaneous",
    "sparse_pairs",
    "text_mixture_decisions",
    "transitivity",
    "transitivity_by_group",
    "win_rate",
    "with_item_test",
]
