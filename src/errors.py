"""The one exception for what a user can put right, printed without a traceback."""


class UserError(Exception):
    """Says what was found, what was expected and what to do, in three lines or fewer."""
