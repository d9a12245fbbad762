"""The error tree. A message says what is wrong with its value, what is allowed, and what to do."""


class BurnishError(Exception):
    """Report a problem that the user can act on; the command line prints it without a traceback."""

    exit_code = 1


class RecipeError(BurnishError):
    """Refuse a recipe or an argument: wrong key, wrong type, wrong value or a forbidden pair."""

    exit_code = 2


class GateFailed(BurnishError):
    """Stop a run because measured evidence is outside the bound that the recipe demands."""

    exit_code = 3


class ArtifactError(BurnishError):
    """Refuse an artifact that is missing, incomplete, corrupt or altered."""


class StorageError(BurnishError):
    """Report a disk that is full or cannot be written, which is no fault of what was being made."""


class Diverged(BurnishError):
    """Stop a training whose loss or gradient is no finite number any more."""


class MissingExtra(BurnishError):
    """Name the optional extra that must be installed before this room can be entered."""
