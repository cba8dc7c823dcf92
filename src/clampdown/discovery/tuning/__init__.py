"""Tuning: what a recipe adds, learned by gradient on refusals of the model's own, instead of found."""
