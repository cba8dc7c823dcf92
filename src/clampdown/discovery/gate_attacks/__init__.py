"""Attacks on a gate by somebody who knows it: the request stays, and what stands around it is searched."""
