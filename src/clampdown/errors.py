"""The one error that users see."""


class ClampdownError(Exception):
    """Something the user can mend. Its message is one line: what is wrong, and what to do about it."""
