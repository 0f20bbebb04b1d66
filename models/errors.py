"""Every error that a person may see, as one small tree.

    TsuyakuError
    ├── InputError        what was given is wrong             exit status 2
    └── UnavailableError  this machine lacks what it takes    exit status 3

`code` is stable and documented in docs/errors.md; `message` is one sentence that says what was wrong and what to do.
"""

import errno

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""what the system says where no more can be written"""


class TsuyakuError(Exception):
    """An expected failure, with a stable `code` and a sentence for the person.

    The sentence stays one line, and a name in it can send nothing but characters to a terminal.
    """

    exit_status = 1

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
        super().__init__(self.message)


class InputError(TsuyakuError):
    """What the person gave cannot be used: a file, a language, an option."""

    exit_status = 2


class UnavailableError(TsuyakuError):
    """A weight, a library, a device, a server or room on a disk is missing."""

    exit_status = 3
