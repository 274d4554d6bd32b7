// What every column and fact means: shown as a tooltip of its name, and listed in About.

const GLOSSARY = {
  Rank: "Place in the ranking, from 1 for the best neuron. Beside a label and on its page: in the ranking for this label",
  Neuron: "Name of the neuron: component, layer, and number within the layer",
  Data: `The ${data.unit}s whose activations the report shows, with their labels`,
  Labels: "The annotation that the neurons are ranked for, and its most frequent values",
  Target: "The numbers that the neurons are ranked for",
  "Language model": "The model that the activations come from",
  Ranking: "What decides the order of the neurons",
  Probe: `The model that predicts ${data.label} from the neurons, whose weights are shown`,
  Penalty:
    "How the probe keeps its weights small. A larger alpha, or a smaller C, is a stronger penalty; l1_ratio is the share of the penalty that sets weights to exactly zero",
  Created: "The date of the report, and the version that wrote it",
  Layer: "The layer that the neuron belongs to",
  Score: `How important the neuron is to ${data.ranker}: larger is better, and the scale is that of the ranker. Beside a label and on its page: for this label`,
  Direction: data.numeric
    ? "Whether the activation rises or falls with the target"
    : "The label for which the neuron matters most in the ranking, and whether its activation on that label is higher or lower than on the others",
  AUC: "Probability that the activation on a random row of the label exceeds that on a random other row: 1 or 0 separates them fully, 0.5 not at all. It looks at the neuron alone, so a neuron that matters to a probe together with others can have a high rank and an AUC near 0.5",
  Correlation: "Pearson correlation of the activation with the target",
  "Rank for label": "Place of the neuron in the ranking of the label in the column Direction",
  "Rank overall": "Place of the neuron in the ranking over all labels",
  "Weight × SD":
    "The weight in the probe times the standard deviation of the neuron: the effect of a change by one standard deviation, which is comparable between neurons. Its sign can differ from the direction, since a weight depends on the other neurons",
  "Difference, SD":
    "Mean activation over the rows of the label minus that over all other rows, in standard deviations of the neuron",
  "Mean, SD":
    "Mean activation over the rows, in standard deviations from the mean over all rows",
  Mean: "Mean activation of the neuron over all rows",
  SD: "Standard deviation of the activation of the neuron over all rows",
  Distribution:
    "Histogram of the activations, scaled to its fullest bin; below it, a box for the middle half, a line for the middle 90%, and a mark at the median",
  Label: "A value of the annotation",
  Range: "A fifth of the rows, from the lowest to the highest targets",
  Words: "Number of words",
  Texts: "Number of texts",
  Share: "Share of the rows that have the label",
  "Best neurons": "The three best neurons for the label",
  Neurons: "Number of neurons",
  Model: "What makes the predictions; a baseline never sees the model under study, or sees none of its training",
  "Held-out score": "Mean score over the folds, on rows that were not fitted",
  "SD of folds": "Standard deviation of the score over the folds",
  which: "The neurons that are kept: the top, the bottom or random ones of the ranking, or all",
  fraction: "The share of the neurons that is kept",
  n_neurons: "The number of neurons; in an ablation, of those that are kept",
  retrained:
    "yes: the probe is fitted again on the kept neurons alone. no: the fitted probe stays, and the other neurons are filled, as the column fill says",
  fill: "What replaces the neurons that are not kept. mean, zero or a number: this value; resample: values of other rows; drop: nothing, because the probe is fitted again without them; none: nothing, because all are kept",
  probe: "The probe that is scored",
  ranking: "The ranking that says which neurons are top and bottom",
  score: "The score of the probe, on rows that were not fitted",
  spread: "Standard deviation of the score over folds, draws and repeats",
  n: "Number of scores that are averaged: folds, draws and repeats",
  name: "Name of the row: a layer with its component",
  component: "The part of the model: hidden (residual stream), mlp, attention",
  layer: "Number of the layer",
  low: "Lower end of the confidence interval of the score",
  high: "Upper end of the confidence interval of the score",
  difference: "The score minus that of the best layer",
  difference_low: "Lower end of the confidence interval of the difference",
  difference_high: "Upper end of the confidence interval of the difference",
  p_value: "Probability of so large a difference from the best layer if there were none, corrected for the number of comparisons",
  n_words: "Number of words that were predicted",
  n_groups: "Number of groups, such as sentences, that were predicted",
};

const UNKNOWN = "A column of the table that was passed to the report";
const meaning = (title) => GLOSSARY[title] ?? UNKNOWN;
