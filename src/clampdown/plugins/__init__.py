"""Thin entry points into other people's programs, one file each."""
