#!/usr/bin/env python3
"""Fits the weights of a question's complexity to labelled questions, and says how well they do.

The features come from the program itself; questions whose split is not `tune` are left out before
anything is looked at. Logistic regression for ordered classes (all thresholds, one set of weights),
its squared weights held down by --ridge.

    penstock complexity docs/complexity/questions.jsonl --format json | scripts/complexity_fit.py
"""

import argparse
import json
import math
import random
import sys

CLASSES = ("simple", "moderate", "complex")
STEPS = 250


def logistic(z):
    return 1 / (1 + math.exp(-max(-30, min(30, z))))


def scale(rows):
    """Means and deviations of the columns."""
    count = len(rows)
    means = [sum(column) / count for column in zip(*rows)]
    spread = [math.sqrt(sum((x - m) ** 2 for x in column) / count) or 1
              for column, m in zip(zip(*rows), means)]
    return means, spread


def fit(rows, labels, ridge):
    """(weights, lower threshold, upper threshold), of the features as they are."""
    means, spread = scale(rows)
    scaled = [[(x - m) / s for x, m, s in zip(row, means, spread)] for row in rows]
    width = len(means)
    now = [0.0] * width + [-0.5, 1.0]
    before = now[:]
    step = 1.5 / len(rows)  # below what would make it swing, for features of deviation 1
    for turn in range(STEPS):  # Nesterov's gradient descent
        ahead = [a + turn / (turn + 3) * (a - b) for a, b in zip(now, before)]
        slope = [2 * ridge * w for w in ahead[:width]] + [0.0, 0.0]
        for row, label in zip(scaled, labels):
            z = sum(w * x for w, x in zip(ahead, row))
            low = logistic(z - ahead[width]) - (label >= 1)
            high = logistic(z - ahead[width + 1]) - (label >= 2)
            for i, x in enumerate(row):
                slope[i] += (low + high) * x
            slope[width] -= low
            slope[width + 1] -= high
        before, now = now, [a - step / 2 * s for a, s in zip(ahead, slope)]
    weights = [w / s for w, s in zip(now, spread)]
    moved = sum(w * m for w, m in zip(weights, means))
    return weights, now[width] + moved, now[width + 1] + moved


def classify(row, model):
    weights, low, high = model
    z = sum(w * x for w, x in zip(weights, row))
    score = round(50 * (logistic(z - low) + logistic(z - high))) / 100
    return 0 if score < 1 / 3 else 1 if score < 2 / 3 else 2


def kappa(labels, said, power):
    count = len(labels)
    observed = sum(abs(a - b) ** power for a, b in zip(labels, said)) / count
    expected = sum(abs(a - b) ** power for a in labels for b in said) / count ** 2
    return 1 - observed / expected


def cross_validate(rows, labels, ridge, folds, seed):
    """What models say of questions that they were not fitted to; each fold has its share of each class."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda i: labels[i])
    said = [0] * len(rows)
    for fold in range(folds):
        held = set(order[fold::folds])
        rest = [i for i in order if i not in held]
        model = fit([rows[i] for i in rest], [labels[i] for i in rest], ridge)
        for i in held:
            said[i] = classify(rows[i], model)
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ridge", type=float, default=8)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="of cross-validation, each with other folds")
    options = parser.parse_args()
    questions = [q for q in json.load(sys.stdin)["questions"] if q.get("split") == "tune"]
    names = sorted({name for q in questions for name in q["features"]})
    rows = [[q["features"].get(name, {"value": 0})["value"] for name in names] for q in questions]
    labels = [CLASSES.index(q["label"]) for q in questions]
    linear, quadratic = [], []
    for seed in range(options.rounds):
        said = cross_validate(rows, labels, options.ridge, options.folds, seed)
        linear.append(kappa(labels, said, 1))
        quadratic.append(kappa(labels, said, 2))
    print(f"{len(rows)} questions, {options.folds} folds, {options.rounds} rounds: "
          f"kappa {sum(quadratic) / len(quadratic):.3f} quadratic, {sum(linear) / len(linear):.3f} linear\n")
    weights, low, high = fit(rows, labels, options.ridge)
    for name, weight in zip(names, weights):
        print(f"{name:<20} {weight:7.3f}")
    print(f"{'bias':<20} {-(low + high) / 2:7.3f}\n{'half':<20} {(high - low) / 2:7.3f}")


if __name__ == "__main__":
    main()
