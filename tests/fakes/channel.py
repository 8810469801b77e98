"""A way to people that ends in a list."""

import threading

from dedupd.core.errors import RetryError

PATIENCE_S = 20.0  # how long a send hangs at most


class Recorder:
    """A whole `Channel` that keeps what it is sent; while `is_broken` it fails, while `gate` is clear it hangs."""

    def __init__(self, name="recorder", *, is_limited=True):
        self.name = name
        self.is_limited = is_limited
        self.messages = []
        self.is_broken = False
        self.gate = threading.Event()
        self.gate.set()

    def send(self, message):
        self.gate.wait(PATIENCE_S)
        if self.is_broken:
            raise RetryError("the far end is down")
        self.messages.append(message)

    def close(self):
        self.is_broken = True
        self.gate.set()

    @property
    def names(self):
        return [event.fact.path.name for message in self.messages for event in message.events]
