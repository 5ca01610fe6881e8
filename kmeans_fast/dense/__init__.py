"""Points of any numbers, as they come: one row, one point."""
