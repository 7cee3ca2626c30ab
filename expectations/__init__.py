"""The gate: which checks there are, how they are measured and judged, and the yes or no with reasons."""
