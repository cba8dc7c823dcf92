"""Intervals, paired tests, clusters, rankings: numpy and the standard library only."""
