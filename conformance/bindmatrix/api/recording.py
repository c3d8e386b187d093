"""``bindmatrix.record()``: what the sockets of this process do, and whether that holds on other systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bindmatrix.errors import Place, Problem
from bindmatrix.notation import Scenario, parse
from bindmatrix.programs.port_scenarios import PortScenario, scenarios_of
from bindmatrix.programs.recorded_sockets import RecordedSockets, descriptors
from bindmatrix.programs.socket_recorder import CallRecorder

if TYPE_CHECKING:
    from bindmatrix.answers.needs import NeedsTable


class RecordedCalls:
    """The calls of a recording, complete when the block of :func:`record` has ended and readable at any time before."""

    def __init__(self, recorder: CallRecorder) -> None:
        self._recorder = recorder
        self._before = set((descriptors() or {}).values())
        self._read: tuple[RecordedSockets, tuple[PortScenario, ...]] | None = None

    @property
    def scenarios(self) -> tuple[PortScenario, ...]:
        """What was done with each port; ports with which the same was done share one.

        Each has ``ports`` (``("8080/tcp",)``; ``chosen/tcp`` where the kernel chose it), ``scenario``, ``outcomes`` of
        its steps in this process, and ``not_modelled``: what the notation has no step for.  Sockets that are only
        clients are left out, and so are the closes at the end.
        """
        return self._result()[1]

    @property
    def scenario(self) -> Scenario:
        """The one scenario; raises :class:`~bindmatrix.errors.Problem` where there are several, or none."""
        found = self.scenarios
        if len(found) != 1:
            ports = "; ".join(", ".join(one.ports) for one in found) or "no socket was bound and none listens"
            raise Problem(Place("record"), f"expected one port, found {len(found)} ({ports}); see calls.scenarios")
        return found[0].scenario

    @property
    def unseen(self) -> tuple[str, ...]:
        """What the recording lacks, in words: sockets of C code and of child processes, calls of unknown outcome."""
        seen = self._result()[0]
        found = [what + (f" ({times} times)" if times > 1 else "") for what, times in seen.unseen.items()]
        if self._recorder.children:
            found.append(f"what {self._recorder.children} processes did that were started meanwhile")
        return tuple(found)

    def check(self, on: Iterable[str] = (), needs: Sequence[str] = ()) -> NeedsTable:
        """Whether every port does the same on the systems ``on``, and whether ``needs`` are met there.

        By the rules of each system (``"macos"``, ``"linux@6.1"``; without ``on`` the default systems of ``check``).
        The first need of a port is that each step returns there what it returned here: ``ok``, or some error.  Each of
        ``needs`` goes on from where the recording ends, in the form of ``bindmatrix check --help``::

            other=tcp4 other.reuseaddr=1 other.bind=127.0.0.1 => refused

        Its steps are about the port that was recorded, also where the kernel chose that.

        Raises :class:`~bindmatrix.errors.BindmatrixError` where a need or a system cannot be read, or where no socket
        was bound.
        """
        from bindmatrix.answers import needs as judging
        from bindmatrix.answers import needs_file

        if isinstance(on, str) or isinstance(needs, str):
            raise Problem(
                Place("record"), "'on' and 'needs' are lists: on=['windows'], needs=['b=tcp4 ... => refused']"
            )
        systems = needs_file.systems(list(on) or needs_file.DEFAULT_SYSTEMS, Place("on"))
        if not self.scenarios:
            raise Problem(Place("record"), "no socket was bound and none listens: there is nothing to check")
        file = needs_file.NeedsFile("recorded")
        for one in self.scenarios:
            ports = ", ".join(one.ports)
            file.needs.append(needs_file.as_recorded(one.scenario, one.outcomes, f"port {ports}: the same as here"))
            if needs:
                # what follows is about the port that the kernel chose: as if it had been asked for
                asked = (
                    parse(one.scenario.text.replace(",0", "")) if one.ports[0].startswith("chosen") else one.scenario
                )
                name = f"needs of port {ports}"
                file.needs += needs_file.parse_needs(needs, name, prefix=asked, returned=one.outcomes).needs
        return judging.table(file, [judging.ByRules(system) for system in systems])

    def assert_portable(self, on: Iterable[str] = (), needs: Sequence[str] = (), *, strict: bool = False) -> None:
        """Raise AssertionError with the table of :meth:`check` where a need is not met.

        With ``strict`` also where it is unknown.  What was not seen is told with the failure.
        """
        table = self.check(on, needs)
        if not table.fails(strict=strict):
            return
        from bindmatrix.report import needs_text

        unseen = "".join(f"\nnot seen: {one}" for one in self.unseen)
        raise AssertionError(f"not portable\n\n{needs_text.plain(table)}{unseen}")

    def _result(self) -> tuple[RecordedSockets, tuple[PortScenario, ...]]:
        """What was recorded so far, worked out again until the recording has ended: the kernel may know more now."""
        if self._read is None or self._recorder.active:
            sockets = RecordedSockets(self._recorder.calls[:])
            sockets.complete(self._before)
            self._read = sockets, scenarios_of(sockets.sockets, Counter()).scenarios
        return self._read

    def _finish(self) -> None:
        """Read what only the open sockets tell, and stop."""
        self._result()
        self._recorder.stop()


@contextmanager
def record() -> Iterator[RecordedCalls]:
    """Record what the sockets of this process do: bind(), listen(), setsockopt() and what they returned.

    >>> import socket
    >>> with record() as calls, socket.socket() as server:
    ...     server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ...     server.bind(("127.0.0.1", 0))
    ...     server.listen()
    >>> print(calls.scenario)
    a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1,0 a.listen

    The methods of ``socket.socket`` are replaced until the block ends, for all threads; blocks may nest.  An audit hook
    stays (PEP 578: it cannot be removed), and does nothing outside of such blocks.  Seen are ``socket`` itself and what
    is built on it: asyncio, trio, ssl, socketserver, gevent.  Of sockets that C code makes by itself (uvloop's, and
    those of extension modules) only what Linux tells of them at the end is seen; of child processes nothing.
    ``calls.unseen`` says what that was.  For tests: the calls are kept until the block ends.
    """
    recorder = CallRecorder()
    calls = RecordedCalls(recorder)
    recorder.start()
    try:
        yield calls
    finally:
        try:
            calls._finish()
        finally:
            recorder.stop()
