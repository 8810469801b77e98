"""Fits the calibrated decision of `core.relation`: `gather` measures labelled pairs, `fit` makes the coefficients."""
