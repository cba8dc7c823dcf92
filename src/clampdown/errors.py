"""The one error that users see, and what it says of others'."""


class ClampdownError(Exception):
    """Something the user can mend. Its message is one line: what is wrong, and what to do about it."""


def reason(error: BaseException) -> str:
    """The first line that another library's exception says; its kind, where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
