"""Compiled loops over NumPy arrays; nothing here checks or raises."""
