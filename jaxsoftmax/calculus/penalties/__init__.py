"""The regularisers, one file each: strengths, formulas and bounds (S21)."""
