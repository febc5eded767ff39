"""Collapse measures the slow way: NumPy loops over lists of pixels, one list a class."""

import itertools
import math

import numpy as np


def slow_geometry(vectors, present, measured=None, centered=True):
    """NC2 of the present vectors, over those of them that are measured (ids into ``present``)."""
    measured = list(present) if measured is None else [k for k in measured if k in present]
    if len(measured) < 2:
        names = "equinorm equiangularity maximal_separation etf_error largest_cosine margin"
        return dict.fromkeys(names.split(), math.nan) | {"num_present": len(measured)}
    mean = np.mean([vectors[k] for k in present], axis=0) if centered else 0
    v = {k: vectors[k] - mean for k in present}
    length = {k: math.sqrt(sum(x * x for x in v[k])) for k in present}
    unit = {k: v[k] / length[k] for k in present}
    cosines = [unit[a] @ unit[b] for a in measured for b in measured if a != b]
    lengths = [length[k] for k in measured]
    ideal = -1 / (len(present) - 1)
    products = np.array([[v[a] @ v[b] for b in measured] for a in measured])
    simplex = np.array([[(a == b) - 1 / len(present) for b in measured] for a in measured])
    difference = products / _size(products) - simplex / _size(simplex)
    margins = [
        distance_to_hull(unit[k], [unit[other] for other in present if other != k])
        for k in measured
    ]
    return {
        "equinorm": _deviation(lengths) / _mean(lengths),
        "equiangularity": _deviation(cosines),
        "maximal_separation": _mean([abs(c - ideal) for c in cosines]),
        "etf_error": _size(difference),
        "largest_cosine": max(cosines),
        "margin": min(margins),
        "num_present": len(measured),
    }


def slow_measures(rows_of, classifier=None, measured=None, average="class"):
    """Everything that CollapseMeasures.numbers() holds but the agreement, from the pixels."""
    present = [k for k, rows in enumerate(rows_of) if len(rows)]
    measured = present if measured is None else [k for k in measured if k in present]
    centers = {k: rows_of[k].mean(0) for k in present}
    mean = np.mean([centers[k] for k in present], axis=0)
    covariances = {
        k: sum(np.outer(x - centers[k], x - centers[k]) for x in rows_of[k]) / len(rows_of[k])
        for k in present
    }
    sizes = [len(rows_of[k]) if average == "pixel" else 1 for k in measured]
    within = np.average([covariances[k] for k in measured], axis=0, weights=sizes)
    between = _mean([np.outer(centers[k] - mean, centers[k] - mean) for k in present])
    values, directions = np.linalg.eigh(between)
    leading = range(len(values) - min(len(present) - 1, len(values)), len(values))
    pairs = [
        (np.trace(covariances[a]) + np.trace(covariances[b]))
        / (2 * sum((centers[a] - centers[b]) ** 2))
        for a, b in itertools.permutations(measured, 2)
    ]
    measures = slow_geometry(centers, present, measured) | {
        "nc1_pinv": np.trace(within @ np.linalg.pinv(between, rcond=1e-12)) / len(present),
        "nc1_svd": sum(directions[:, i] @ within @ directions[:, i] / values[i] for i in leading),
        "nc1_ratio": np.trace(within) / np.trace(between),
        "cdnv": _mean(pairs),
        "self_duality": math.nan,
    }
    if classifier is not None:
        rows = slow_geometry(dict(enumerate(classifier)), present, measured)
        del rows["num_present"]
        measures |= {f"classifier_{name}": value for name, value in rows.items()}
        w = np.array([classifier[k] for k in measured])
        v = np.array([centers[k] - mean for k in measured])
        measures["self_duality"] = ((w / _size(w) - v / _size(v)) ** 2).sum()
    return measures


def distance_to_hull(point, others):
    """Try every subset of the others as the face that the nearest point lies on."""
    best = math.inf
    for size in range(1, len(others) + 1):
        for face in itertools.combinations(others, size):
            first, *rest = face
            edges = np.array([corner - first for corner in rest]).reshape(-1, len(point)).T
            weights = np.linalg.lstsq(edges, point - first, rcond=None)[0]
            if (weights >= -1e-12).all() and weights.sum() <= 1 + 1e-12:
                best = min(best, np.linalg.norm(first + edges @ weights - point))
    return best


def slow_agreement(pixels, labels, classifier, bias, centers, ignore_index=255):
    """Share of the labelled pixels whose largest logit and nearest center name one class."""
    agreeing = []
    for x, label in zip(pixels, labels, strict=True):
        if label != ignore_index:
            logits = [row @ x + shift for row, shift in zip(classifier, bias, strict=True)]
            distances = {k: np.linalg.norm(x - center) for k, center in centers.items()}
            agreeing.append(np.argmax(logits) == min(distances, key=distances.get))
    return np.mean(agreeing)


def _mean(values):
    return sum(values) / len(values)


def _deviation(values):
    return math.sqrt(_mean([(value - _mean(values)) ** 2 for value in values]))


def _size(matrix):
    return math.sqrt((matrix**2).sum())
