"""The exception for errors that the user can fix, which are printed without a traceback."""


class UserError(Exception):
    """Says what was found, what was expected and what to do, in three lines or fewer."""
