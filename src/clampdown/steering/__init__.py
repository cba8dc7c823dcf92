"""Steering: what is added to the residual, where, and by which rule."""
