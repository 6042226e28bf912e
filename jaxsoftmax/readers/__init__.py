"""Files into data sets: CSV and text, IDX, NPZ, Parquet, svmlight, and saved weights."""
