"""The data, validated once: inputs, targets with an exact meaning, sample weights, regularisers, the exact text."""
