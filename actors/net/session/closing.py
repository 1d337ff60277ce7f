"""How an idle connection is closed so that no message is lost: Idle, IdleOk, Bye. Pure.

Either end may ask at any time, and both at once (PROTOCOL D1 to D4). A question binds nobody: it is
cancelled by *writing* a message. An answer binds: who has sent IdleOk writes no message until it gets one.

Only a written message cancels. An asker that forgot its question for another reason (it became permanent, it
accepted a message that expired before it was written) would ignore the IdleOk, and the other end, bound by
its promise, would stay mute for ever.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Asked(Enum):
    """Where the two ends' questions stand, as one end sees it."""

    OPEN = "open"
    """No question, no promise."""
    ASKING = "asking"
    """Our Idle stands; we may still write, which cancels it."""
    PROMISED = "promised"
    """We sent IdleOk: nothing is written until a message arrives."""
    CROSSED = "crossed"
    """Both: we asked, and answered the peer's question."""


class Closing(Struct, gc=False):
    """One end of one connection. A new connection starts with a new one, in OPEN."""

    state: Asked = Asked.OPEN

    def idle(self) -> bool:
        """Nothing was queued, retained or waited for in a long time. True: send Idle (D1)."""
        if self.state is not Asked.OPEN:
            return False
        self.state = Asked.ASKING
        return True

    @property
    def may_write(self) -> bool:
        """Whether no promise of ours stands. Changes nothing."""
        return self.state in (Asked.OPEN, Asked.ASKING)

    def sending(self) -> bool:
        """A message is written here and now, which cancels our question (D1). False: it must stay in the queue (D2).

        Not for a message that is only accepted, or that might be written: see `may_write`.
        """
        if self.state is Asked.ASKING:
            self.state = Asked.OPEN
        return self.state is Asked.OPEN

    def on_idle(self, idle_here: bool) -> bool:
        """The peer asks. True: send IdleOk, which is a promise (D2).

        `idle_here`: ephemeral, nothing queued, retained or waited for, no handshake of our own under way. If not
        there is no answer: our coming message is the answer, or our silence.
        """
        if not idle_here:
            return False
        crossed = self.state in (Asked.ASKING, Asked.CROSSED)
        self.state = Asked.CROSSED if crossed else Asked.PROMISED
        return True

    def on_idle_ok(self) -> bool:
        """The peer promised silence. True: leave the table, send Bye, close, in one step (D3). Else ignore it."""
        return self.state in (Asked.ASKING, Asked.CROSSED)

    def on_message(self) -> None:
        """A message arrived, be it a Skip or a Cancel: it cancels the question and frees the promise (D2, D4)."""
        self.state = Asked.OPEN

    def connection_ended(self) -> bool:
        """The connection is over. True: cleanly, nothing unacknowledged lies on it, the queue moves on (D4)."""
        return self.state is not Asked.OPEN

    def __repr__(self) -> str:
        return f"Closing({self.state.value})"
