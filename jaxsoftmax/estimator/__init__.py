"""The estimator: what people do with a trained classifier: keep it, read its table, use it as scikit-learn does."""
