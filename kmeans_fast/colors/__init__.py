"""Integer pixels by their distinct colours: counted, as a point set, as a histogram."""
