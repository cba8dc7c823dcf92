"""Judges by name: the default one, published classifiers and rubrics, and any chat model; and what a judge is worth."""
