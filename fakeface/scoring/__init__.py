"""From predictions to numbers: scores, intervals, slices, baselines, comparison."""
