"""A naive twin of inference (S22): dense matrices by loops over observations, class 0 as reference.

Nothing of ours but the container of `fitted`. Weights B are (C − 1, D), those of class 0 are zero. An observation has a
label; counts are listed one by one.
"""

from __future__ import annotations

import dataclasses

import numpy as np

import jaxsoftmax as js
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


def fitted(problem, steps=20):
    """A `Fit` of a problem by Newton's method on the dense Hessian in NumPy, which compiles nothing; from W = 0.

    A problem without a minimiser ends DIVERGING with its verdict, as `js.fit` does.
    """
    host = problem.host
    X = np.asarray(host.X, float)
    X = np.column_stack([X, np.ones(len(X))]) if problem.intercept else X
    T = host.targets.rounded(np.dtype(float))
    s = np.ones(len(X)) if host.sample_weight is None else np.asarray(host.sample_weight, float)
    W = np.zeros((problem.C, problem.D))
    for _ in range(steps):
        Y = np.array([softmax(z) for z in X @ W.T])
        H = np.zeros((W.size, W.size))
        for x, y, weight in zip(X, Y, s, strict=True):
            H += weight * np.kron(np.diag(y) - np.outer(y, y), np.outer(x, x))
        unit = np.sqrt(np.maximum(np.diagonal(H), np.finfo(float).tiny))
        g = ((Y - T).T @ (s[:, None] * X)).ravel()
        step = np.linalg.lstsq(H / unit / unit[:, None], g / unit, rcond=1e-13)[0] / unit
        W -= min(1.0, 4.0 / max(np.ptp(X @ step.reshape(W.shape).T, axis=1).max(), 1e-300)) * step.reshape(W.shape)
    shifted = X @ W.T
    value = float(s @ (np.log(np.exp(shifted - shifted.max(1, keepdims=True)).sum(1)) + shifted.max(1)))
    value -= float(np.sum(s[:, None] * T * shifted))
    moves = np.ptp(X @ step.reshape(W.shape).T, axis=1).max()
    parts = dict.fromkeys((field.name for field in dataclasses.fields(js.Fit)), None)
    parts |= {"W": W, "loss": value, "method": "naive", "has_intercept": problem.intercept, "inner_solves": ()}
    parts |= {"loss_in_training": value, "gradient_norm": 0.0, "scaled_gradient": 0.0, "steps": steps, "reason": ""}
    if moves > 0.1:
        return js.Fit(**parts | {"status": js.Status.DIVERGING, "existence": js.decide_existence(problem)})
    return js.Fit(**parts | {"status": js.Status.GRADIENT_TOLERANCE, "q_estimate": 0.0})
