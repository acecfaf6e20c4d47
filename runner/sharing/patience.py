"""Asking a remote again, for as long as a later answer may be another one, and no longer."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from runner.errors import StoreError

T = TypeVar("T")

ATTEMPTS = 5
FIRST_WAIT = 0.2  # seconds; doubled by every attempt, then drawn between half and all of it
GIVE_UP_AFTER = 60.0  # seconds of attempts at one request
SILENCE = 30.0  # seconds during which a remote that gave no answer is not asked again
_IN_A_ROW = 3  # requests without answer that silence a remote which has answered before

_LASTING = (PermissionError, NotImplementedError, ImportError, ValueError, TypeError)
_LASTING_ERRNO = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EINVAL, errno.ENOTDIR, errno.EISDIR,
}  # fmt: skip
_LASTING_NAME = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "SSLError"}


class RemoteError(StoreError):
    """The remote did not do what was asked of it; the local store is as good as it was."""


class AbsentError(RemoteError):
    """What was asked for is not at the remote."""


class RefusedError(RemoteError):
    """The remote will not do this, however often it is asked."""


class UnreachableError(RemoteError):
    """The remote gave no sound answer, after several attempts."""


class Patience:
    """The attempts at one remote, named `shown`; `secrets` are kept out of all messages.

    A request that goes unanswered is tried again with growing pauses. A remote that never answered,
    or left three requests in a row unanswered, is not asked for a while: nobody waits for it again
    and again.
    """

    def __init__(self, shown: str, secrets: Sequence[str]) -> None:
        self._shown = shown
        self._secrets = secrets
        self._unanswered = 0  # requests in a row
        self._answered = False
        self._silent_until = 0.0

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """Return what a request gives; `what` completes the sentence "cannot ...".

        Raises: AbsentError, RefusedError, UnreachableError.
        """
        if time.monotonic() < self._silent_until:
            raise UnreachableError(f"{self._shown} does not answer")
        begun = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = call()
            except StoreError:
                raise
            except FileNotFoundError as error:
                raise AbsentError(self._message(what, error)) from error
            except Exception as error:
                if _lasting(error):
                    raise RefusedError(self._message(what, error)) from error
                if attempt == ATTEMPTS or time.monotonic() - begun > GIVE_UP_AFTER:
                    self._give_up()
                    message = f"{self._message(what, error)} (attempt {attempt}, the last)"
                    raise UnreachableError(message) from error
                time.sleep(FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1))  # noqa: S311
            else:
                self._unanswered, self._answered = 0, True
                return answer

    def told(self, error: BaseException) -> str:
        """Return an error in one line, without the secrets of the URL."""
        text = " ".join(str(error).split()) or "no reason given"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = text if len(text) <= 200 else f"{text[:197]}..."
        return f"{type(error).__name__}: {text}"

    def _message(self, what: str, error: BaseException) -> str:
        return f"{self._shown}: cannot {what}: {self.told(error)}"

    def _give_up(self) -> None:
        self._unanswered += 1
        if not self._answered or self._unanswered >= _IN_A_ROW:
            self._silent_until = time.monotonic() + SILENCE


def _lasting(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _LASTING_ERRNO:
        return True
    return isinstance(error, _LASTING) or type(error).__name__ in _LASTING_NAME
