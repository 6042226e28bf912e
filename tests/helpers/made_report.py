"""A report of `verify` made by hand, with names that try to be markup: what is drawn and proved is real, all else made.

Nothing is trained or compiled, so that a page of it is made in a second or two.
"""

from typing import Any

import numpy as np

import jaxsoftmax as js
from helpers.made_fit import made_fit
from jaxsoftmax.evidence.spectrum.density import density_of_values
from jaxsoftmax.evidence.spectrum.report import Convexity
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.reporting.row import compare, not_run, yes_or_no
from jaxsoftmax.verification.inputs import Prepared
from jaxsoftmax.verification.report import DatasetReport, VerifyReport

# Markup, quotes, a formula of matplotlib, a right-to-left override, a zero byte, half of a pair, a line break.
HOSTILE = (
    "len<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    r"$\frac{",
    "$x^$",
    "a\u202eb",
    "nul\x00",
    "half\udc80",
    "two\nlines",
    "S5",
    "שלום",
)
CHECKS = (
    compare("S2", "gradient", "random W", 1e-14, "<=", 1e-12, 0.0),
    compare("S7a", "largest eigenvalue of the Hessian", "fitted W", 3.0, "<=", 2.0, 0.0, note="too <large>"),
    yes_or_no("S9", "proof that a minimiser exists, independent checker: accepted", "", True),
    not_run("S13", "proof of a minimiser", "", "not run: made by hand"),
)
SOUND = tuple(check for check in CHECKS if check.passed is True)


def made_report(
    feature: str = "width", labels: tuple = ("crow", "wren"), name: str = "birds.csv", checks: tuple = SOUND
) -> tuple[VerifyReport, tuple[Prepared]]:
    """One feature, two classes, a minimiser that is proved."""
    X, codes = np.arange(4.0)[:, None], [0, 1, 0, 1]
    problem = js.Problem.from_labels(X, [labels[code] for code in codes], classes=labels, feature_names=[feature])
    W = np.array([[-0.4, 0.6], [0.4, -0.6]])
    certificate = js.certify(problem, W, digits=20)
    return _whole(problem, W, (feature,), labels, name, checks, js.decide_existence(problem), certificate)


def made_separated_report() -> tuple[VerifyReport, tuple[Prepared]]:
    """Images of two by two pixels, of which one tells the classes apart."""
    X = np.array([[0.0, 1.0, 0.5, 0.0], [0.1, 0.0, 0.5, 1.0], [0.9, 0.3, 0.5, 0.2], [1.0, 0.7, 0.5, 0.1]])
    names = tuple(f"pixel_{row}_{column}" for row in range(2) for column in range(2))
    problem = js.Problem.from_labels(X, [0, 0, 1, 1], feature_names=names)
    W = np.array([[-1.0, 0.0, 0.0, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0, -0.5]])
    return _whole(problem, W, names, ("dark", "light"), "images", SOUND, js.decide_existence(problem), None)


def _whole(
    problem: Any,
    W: np.ndarray,
    features: tuple,
    labels: tuple,
    name: str,
    checks: tuple,
    verdict: ExistenceVerdict,
    certificate: Any,
) -> tuple[VerifyReport, tuple[Prepared]]:
    about = {
        "name": name,
        "source": f"file {name}",
        "target": "kind",
        "classes": list(labels),
        "class_counts": [2, 2],
        "features": list(features),
        "label_smoothing": "0",
        "l2": 0.0,
    }
    sizes = {"N": 4, "D": problem.D, "C": 2, "rank": problem.D, "intercept": True, "dtype": "float32"}
    data = DatasetReport(
        name=name,
        problem=about | sizes | {"regularizer": [], "seed": 0},
        checks=checks,
        findings=("made by hand (S1).",),
        crosscheck=None,  # type: ignore[arg-type] # of which a page shows the rows alone
        crosscheck_at_fit=None,  # type: ignore[arg-type]
        fit=made_fit(
            W=W, loss=_loss(problem, W), classes=labels, feature_names=(*features, "intercept"), history=_history()
        ),
        convexity=_probe(),
        existence=verdict,
        certificate=certificate,
        seconds=1.0,
    )
    environment = {"python": "3", "jax": "1", "jaxlib": "1", "numpy": "2", "platform": "none", "device": "1 device"}
    return VerifyReport("0.1", environment, (data,)), (Prepared(problem, about, decimal=True),)


def _loss(problem: Any, W: np.ndarray) -> float:
    """S1 in float64, by which `inference` knows whose fit it is."""
    logits = problem.host.X @ W[:, :-1].T + W[:, -1]
    own = logits[np.arange(len(logits)), problem.host.targets.codes]
    return float(np.sum(np.log(np.exp(logits).sum(axis=1)) - own))


def _history() -> dict[str, np.ndarray]:
    falling = 10.0 ** -np.arange(4)
    return {
        "step": np.arange(4),
        "loss": 2.5 + falling,
        "gradient_norm": falling,
        "weight_norm": np.ones(4),
        "step_size": np.ones(4),
    }


def _probe() -> js.ConvexityReport:
    numbers: dict[str, Any] = dict.fromkeys(js.ConvexityReport.__dataclass_fields__, 1.0)
    words = {"reason": "made", "method": "dense", "dtype": "float64", "resolved": True, "verdict": Convexity.CONSISTENT}
    found = {"lambda_min": 0.5, "lambda_max": 2.0, "lambda_min_bound": 0.1, "lambda_max_bound": 4.0, "kernel_dim": 2}
    density = density_of_values(np.array([0.5, 2.0]))
    made = {"witness": None, "spectral_density": density, "kernel_dim_predicted": 2, "rank": 2, "resolution": 1e-12}
    return js.ConvexityReport(**(numbers | words | found | made))
