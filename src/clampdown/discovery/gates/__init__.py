"""Fitting a gate on labelled prompts, setting its threshold, and telling how well it does."""
