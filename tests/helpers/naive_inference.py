"""A naive twin of inference (S22): dense matrices by loops over observations, class 0 as reference, nothing of ours.

Weights B are (C − 1, D), those of class 0 are zero. An observation has a label; counts are listed one by one.
"""

from __future__ import annotations

import numpy as np

from helpers.twins import softmax

EPS = float(np.finfo(np.float64).eps)


def listed(X, T, s):
    """Features and labels of every single observation: s_n t_nc of row n have label c."""
    rows, labels = [], []
    for n in range(len(X)):
        for c in range(T.shape[1]):
            for _ in range(round(s[n] * T[n, c])):
                rows.append(X[n])
                labels.append(c)
    return np.array(rows, float), np.array(labels)


def probabilities(B, x):
    """(C,) of one sample."""
    return softmax(np.array([0.0, *(sum(b * x) for b in B)]))


def loss(B, X, labels):
    return -sum(np.log(probabilities(B, x)[c]) for x, c in zip(X, labels, strict=True))


def score(B, x, label):
    """((C − 1) D,) the gradient of one observation's loss: (y_c − 1[c = label]) x_d, class by class."""
    y = probabilities(B, x)
    return np.array([(y[c] - (c == label)) * x[d] for c in range(1, len(y)) for d in range(len(x))])


def information(B, X):
    """Σ (δ_cc' y_c − y_c y_c') x_d x_d'."""
    K, D = B.shape
    H = np.zeros((K * D, K * D))
    for x in X:
        y = probabilities(B, x)
        for c in range(K):
            for e in range(K):
                weight = (c == e) * y[c + 1] - y[c + 1] * y[e + 1]
                H[c * D : (c + 1) * D, e * D : (e + 1) * D] += weight * np.outer(x, x)
    return H


def maximum(X, labels, C, held=None):
    """B by Newton's method from 0; `held` is (index into vec B, value): that entry stays."""
    free = np.ones((C - 1) * X.shape[1], bool)
    vec = np.zeros(len(free))
    if held is not None:
        free[held[0]], vec[held[0]] = False, held[1]
    for _ in range(60):
        B = vec.reshape(C - 1, -1)
        g = np.sum([score(B, x, c) for x, c in zip(X, labels, strict=True)], axis=0)[free]
        step = np.linalg.solve(information(B, X)[np.ix_(free, free)], g)
        t = min(1.0, 2.0 / np.abs(step).max()) if step.any() else 1.0  # long steps first, then Newton's
        vec[free] -= t * step
        if np.abs(step).max() <= 1e-15 * np.abs(vec).max():
            break
    return vec.reshape(C - 1, -1)


def rounding(H, terms):
    """Relative error of an inverse of H whose entries are sums of so many terms, in either of two programs."""
    unit = np.sqrt(np.diagonal(H))
    return 2 * (terms + len(H)) * EPS * np.linalg.cond(H / unit / unit[:, None])
