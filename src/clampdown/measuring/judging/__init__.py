"""Judges of answers: the default one, published classifiers and rubrics, any chat model; and what a judge is worth."""
