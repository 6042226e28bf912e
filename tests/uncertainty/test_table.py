"""`Inference` as text, HTML, LaTeX, JSON and a frame: one set of numbers in every form (S22)."""

import json
import re

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import naive_inference as naive

RNG = np.random.default_rng(1)
PROBLEM = js.Problem.from_labels(
    RNG.normal(size=(30, 2)), np.array(["no", "may_be"])[RNG.integers(2, size=30)], feature_names=["dose_%", "age"]
)
TABLE = js.inference(PROBLEM, naive.fitted(PROBLEM), level=0.9)


def test_the_text_holds_the_numbers():
    text = TABLE.to_text()
    assert text == repr(TABLE) and max(map(len, text.splitlines())) <= 80
    assert "against class may_be" in text and "class no" in text and "[5 %" in text and "95 %]" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("age")).split()
    assert row[1] == f"{TABLE.coefficients[0, 1]:.4f}" and row[2] == f"{TABLE.standard_errors[0, 1]:.4f}"
    assert row[3] == f"{TABLE.z[0, 1]:.3f}" and row[4] == f"{TABLE.p_values[0, 1]:.3f}"
    assert (row[5], row[6]) == (f"{TABLE.lower[0, 1]:.4f}", f"{TABLE.upper[0, 1]:.4f}")


def test_the_html_is_a_table():
    assert "<table>" in TABLE._repr_html_() and "dose_%" in TABLE._repr_html_()


def test_the_latex_is_balanced_and_escaped():
    """Rows of seven cells between a begin and an end, no special letter left bare."""
    lines = TABLE.to_latex().splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrrr}" and lines[-1] == r"\end{tabular}"
    rows = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(rows) == 4 and all(line.count(" & ") == 6 for line in rows)
    assert any(line.startswith(r"dose\_\% & ") for line in rows)
    assert r"P\textgreater{}\textbar{}z\textbar{}" in lines[2]
    assert not re.search(r"(?<!\\)[%#_]", "\n".join(lines))
    assert r"\multicolumn{7}{l}{class no} \\" in lines


def test_the_dictionary_is_json_and_complete():
    out = json.loads(json.dumps(TABLE.to_dict()))
    assert out["coefficients"] == TABLE.coefficients.tolist() and out["reference"] == "may_be"
    assert out["classes"] == ["no"] and out["existence"] is None and out["attained"] is True
    assert "maximum" not in out


@pytest.mark.peers
def test_the_frames_have_names_on_every_side():
    pytest.importorskip("pandas")
    frame = TABLE.to_frame()
    assert frame.loc[("no", "age"), "standard_errors"] == TABLE.standard_errors[0, 1]
    assert list(frame.index.names) == ["class", "feature"] and bool(frame["identified"].all())
    covariance = TABLE.cov_params()
    assert covariance.loc[("no", "age"), ("no", "dose_%")] == TABLE.covariance[1, 0]
    effects = TABLE.marginal_effects().to_frame()
    assert len(effects) == 4


def test_a_table_is_one_leaf_less_value_to_jax():
    """Static, as verdicts are: it can stand in a pytree."""
    assert jax.tree.leaves(TABLE) == []


def test_importing_the_package_loads_no_statistics():
    """scipy.special and pandas are loaded where a number or a frame is asked for."""
    import ast

    from helpers.house import modules, tree

    for name in modules():
        if name.startswith("uncertainty."):
            for node in tree(name).body:
                assert not (isinstance(node, ast.Import | ast.ImportFrom) and "scipy" in ast.unparse(node))
                assert not (isinstance(node, ast.Import | ast.ImportFrom) and "pandas" in ast.unparse(node))
