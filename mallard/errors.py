"""Errors that a person can act on.

Every error says what was expected, what was found, where, and how to mend it. The command line prints
them without a traceback and leaves with ``exit_code``.
"""

from __future__ import annotations


class MallardError(Exception):
    """Something a person can mend.

    ``summary`` is one sentence. The other parts are optional and printed on lines of their own.
    """

    exit_code = 1

    def __init__(
        self,
        summary: str,
        *,
        expected: str = "",
        found: str = "",
        where: str = "",
        mend: str = "",
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.expected = expected
        self.found = found
        self.where = where
        self.mend = mend

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The labelled parts that were given, in reading order."""
        named = [
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("to mend", self.mend),
        ]
        return [(label, text) for label, text in named if text]

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"  {label}: {text}" for label, text in self.parts)])

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling (Airflow, process pools) otherwise.
        return (_rebuild, (type(self), self.summary, self.expected, self.found, self.where, self.mend))


def _rebuild(
    kind: type[MallardError], summary: str, expected: str, found: str, where: str, mend: str
) -> MallardError:
    error = kind.__new__(kind)
    MallardError.__init__(error, summary, expected=expected, found=found, where=where, mend=mend)
    return error


class SettingsError(MallardError):
    """A setting or a registry entry is wrong."""

    exit_code = 2


class DeliveryRefusedError(MallardError):
    """A whole delivery was refused; nothing of it was landed."""

    exit_code = 3


class GateRefusedError(MallardError):
    """The candidate did not pass its gate; the published version is untouched."""

    exit_code = 4


class BusyError(MallardError):
    """Another run holds the writer's lock."""

    exit_code = 5


class NothingToDoError(MallardError):
    """What was asked for is not there, such as a day without a delivery."""

    exit_code = 6
