"""The columns of a study that ask more than one prompt: a file for each kind, and what they have in common."""
