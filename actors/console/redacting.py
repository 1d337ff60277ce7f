"""What must not leave this machine, taken out of words and data. Pure: words in, words out.

Keys in every form that a file of ours has, private keys of others, passwords in URLs, adverts, the home folder's
name; on demand, addresses. NodeIDs stay: they are public, and without them nothing can be told apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

KEPT_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"})  # noqa: S104 - no listening here
"""Addresses that are the same everywhere."""

_NAMED: Final = r"(?i)((?:pass(?:word|phrase)?|secret|token|api_?key)[\"']?\s*[=:]\s*[\"']?)"
_SECRETS: Final = (
    (re.compile(r"actors-secret-key-\d+[\s\S]{0,4}[A-Za-z2-7=]{8,}(\s+[a-z2-7]{52})?"), "[a key]"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)"), "[a private key]"),
    (re.compile(r"(?<=://)[^/\s@:]+:[^/\s@]+(?=@)"), "[a password]"),
    (re.compile(r"\badvert1:[A-Za-z0-9_=-]+"), "[an advert]"),
    (re.compile(_NAMED + r"[^\s\"',}]+"), r"\1[redacted]"),
)  # fmt: skip
_URL = re.compile(r"\b(tcp|tls|wss?|quic|udp|https?)://(\[[0-9a-fA-F:.%]+\]|[^\s/:\"',\]\)\}]+)")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")


class Redactor:
    """`home` is replaced by `~`. With `salt`, addresses become names that are the same within one bundle only."""

    def __init__(self, home: str = "", salt: bytes = b"") -> None:
        self._home = re.compile(re.escape(home.rstrip("/")) + r"(?![\w.-])") if len(home) > 1 else None
        self._salt = salt

    def text(self, words: str) -> str:
        """Words without secrets."""
        for secret, instead in _SECRETS:
            words = secret.sub(instead, words)
        if self._home is not None:
            words = self._home.sub("~", words)
        if self._salt:
            words = _URL.sub(lambda found: f"{found[1]}://{self._host(found[2])}", words)
            words = _IPV4.sub(lambda found: self._host(found[0]), words)
            words = _IPV6.sub(lambda found: self._host(found[0]) if _is_address(found[0]) else found[0], words)
        return words

    def data(self, value: object) -> object:
        """Data as JSON has it, with the same done to every text in it."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(key)): self.data(item) for key, item in value.items()}
            case list() | tuple():
                return [self.data(item) for item in value]
        return value

    def _host(self, host: str) -> str:
        bare = host.strip("[]")
        if bare in KEPT_HOSTS or bare.startswith("host-"):
            return host
        return f"host-{hashlib.sha256(self._salt + bare.lower().encode()).hexdigest()[:8]}"


def _is_address(text: str) -> bool:
    """Not a time of day."""
    return "::" in text or text.count(":") == 7
