"""Sums that have no order, for they lose nothing: quanta, weights, means."""
