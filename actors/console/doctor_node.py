"""What `actors doctor` sees of one node's settings: addresses, key, state folder, adverts, control socket.

Binds a port for a moment to see whether it is free. Writes nothing; of a key it says whose it is.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from actors.admission import sorted_out
from actors.config import UNLIMITED, NodeConfig, SettingError, advert_lines
from actors.console.doctor_words import Finding, good, problem, warning
from actors.control.sockets import MAX_PATH, runtime_directory
from actors.errors import ActorError
from actors.identity import NodeID
from actors.keyfile import load_key
from actors.net.proving.adverts import NodeAdvert, parse_peer
from actors.state import StateDir
from transports.addresses import HostAddress, QUICAddress, TransportAddress, UDPAddress, parse_address
from transports.errors import AddressError
from transports.schemes import SCHEMES

_ROOM = 16 << 20
"""Bytes of a disk below which a state folder is in danger."""


def node(config: NodeConfig) -> Iterator[Finding]:
    """All of it."""
    yield from (_address(url, insecure=config.insecure) for url in config.listen)
    yield from _key(config)
    yield from _state(config.state_dir)
    yield from _adverts(config)
    yield _policy(config)
    yield _control(config.name)


# -- addresses ----------------------------------------------------------------------------------------------


def _address(url: str, *, insecure: bool) -> Finding:
    try:
        address = parse_address(url)
    except AddressError as error:
        return problem("address", str(error), "write it like tcp://127.0.0.1:4000")
    if not isinstance(address, HostAddress) or address.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        return problem("address", f"{address}: a node process has no transport for it", f"listen at {known}")
    if not (address.secure or address.loopback or insecure):
        what = f"{address} is plain, and not on this machine alone: whoever is on the way can read and change all"
        return problem("address", what, "listen at a loopback address, or write insecure = true if you accept that")
    return _bound(address)


def _bound(address: HostAddress) -> Finding:
    """Whether the port can be had now."""
    kind = socket.SOCK_DGRAM if isinstance(address, QUICAddress | UDPAddress) else socket.SOCK_STREAM
    try:
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=kind)[0]
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return _not_bound(address, error)
    return good("address", f"{address}: {'any free port' if not address.port else 'free'}{_exposed(address)}")


def _exposed(address: TransportAddress) -> str:
    return "" if address.loopback or address.secure else "; plain beyond this machine, as insecure allows"


def _not_bound(address: HostAddress, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return problem("address", f"{address}: in use", f"stop who has it (ss -ltnup sport = :{address.port}), or move")
    if error.errno == errno.EACCES:
        return problem("address", f"{address}: not permitted", "choose a port from 1024 on")
    if error.errno == errno.EADDRNOTAVAIL:
        return problem("address", f"{address}: not an address of this machine", "choose one of: ip -brief address")
    return problem("address", f"{address}: {error.strerror or error}", "choose another address")


# -- files --------------------------------------------------------------------------------------------------


def _key(config: NodeConfig) -> Iterator[Finding]:
    path = config.key or (config.state_dir / "key" if config.state_dir else None)
    if path is None:
        yield good("key", "a new one for each start: no key file, no state folder")
    elif config.key is None and not os.path.lexists(path):
        yield good("key", f"{path} will be made at the first start")
    else:
        yield _key_file(path)


def _key_file(path: Path) -> Finding:
    try:
        who = load_key(path).id
    except ActorError as error:
        return problem("key", str(error), error.hint)
    except ValueError as error:
        return problem("key", f"{str(path)!r} is no path: {error}", "mend the setting")
    folder = path.absolute().parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022 and not mode & stat.S_ISVTX:
        return warning("key", f"others can replace {path}: its folder has mode {mode:04o}", f"chmod go-w {folder}")
    return good("key", f"{path} is that of {who.short}…, mode {stat.S_IMODE(path.stat().st_mode):04o}")


def _state(path: Path | None) -> Iterator[Finding]:
    if path is None:
        yield good("state", "no folder: nothing is remembered over a restart")
    elif not path.exists():
        yield _to_be_made(path)
    else:
        yield _state_folder(path)


def _to_be_made(path: Path) -> Finding:
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if os.access(above, os.W_OK | os.X_OK):
        return good("state", f"{path} will be made at the first start")
    return problem("state", f"{path} is not there, and {above} cannot be written to", "choose a folder of your own")


def _state_folder(path: Path) -> Finding:
    if not path.is_dir():
        return problem("state", f"{path} is not a folder", "choose another path")
    info = path.stat()
    if info.st_uid not in (os.geteuid(), 0) or info.st_mode & 0o022:
        mend = f"chown {os.geteuid()} {path} && chmod 700 {path}"
        return problem("state", f"other users can write to {path} (mode {stat.S_IMODE(info.st_mode):04o})", mend)
    if not os.access(path, os.W_OK | os.X_OK):
        return problem("state", f"{path} cannot be written to", f"look at: ls -ld {path}")
    try:
        records = len(StateDir(path).peers()) if (path / "peers").is_dir() else 0
    except ActorError as error:
        return problem("state", str(error), error.hint)
    free = shutil.disk_usage(path).free
    if free < _ROOM:
        return warning("state", f"{path}: {free >> 20} MiB are left on its disk", f"make room; look at: df -h {path}")
    if info.st_mode & 0o055:
        mode = stat.S_IMODE(info.st_mode)
        return warning("state", f"other users can see whom {path} knows (mode {mode:04o})", f"chmod 700 {path}")
    return good("state", f"{path}: {records} peers remembered, mode {stat.S_IMODE(info.st_mode):04o}")


def _adverts(config: NodeConfig) -> Iterator[Finding]:
    try:
        peers = [parse_peer(line) for line in config.peers]
        known = [NodeAdvert.parse(line) for line in advert_lines(config)]
        known += [peer for peer in peers if isinstance(peer, NodeAdvert)]
        named = {peer for peer in peers if isinstance(peer, NodeID)}
        lost = named - {advert.id for advert in known} - _remembered(config.state_dir)
    except SettingError as error:
        yield problem("adverts", str(error), error.hint)
    except ActorError as error:
        yield problem("adverts", f"one of peers or adverts: {error}", error.hint)
    else:
        if lost:
            words = ", ".join(sorted(node.short for node in lost))
            yield warning("adverts", f"nothing says where {words} is", "print its advert there, and put it into peers")
        elif known or named:
            yield good("adverts", f"{len(known)} read, each signed by its node; {len(peers)} permanent peers")


def _remembered(path: Path | None) -> set[NodeID]:
    """Whose adverts lie in the state folder. What is wrong with it is another finding."""
    if path is None or not (path / "peers").is_dir():
        return set()
    with suppress(ActorError):
        return {node for node, record in StateDir(path).peers().items() if record.advert is not None}
    return set()


def _policy(config: NodeConfig) -> Finding:
    """Whom it deals with, and whether that is whom it is to have a link to."""
    links, peers = config.limits.links, set[NodeID]()
    with suppress(ActorError):  # that is said of the adverts
        peers = {peer if isinstance(peer, NodeID) else peer.id for peer in map(parse_peer, config.peers)}
    if forbidden := peers & sorted_out(config.deny)[0]:
        words = ", ".join(sorted(node.short for node in forbidden))
        return warning("policy", f"deny forbids what peers asks for: {words}", "take it out of one of the two")
    if len(peers) > links:
        return warning("policy", f"{len(peers)} permanent peers, and places for {links}", "raise limits.links")
    whom = f"the {len(config.allow)} entries of allow" if config.allow else "everybody"
    but = f" but the {len(config.deny)} of deny" if config.deny else ""
    most = "any number of" if links == UNLIMITED else str(links)
    kept = f", {config.limits.links_kept} of them only for permanent links" if config.limits.links_kept else ""
    return good("policy", f"deals with {whom}{but}; {most} peers at a time{kept}")


def _control(name: str) -> Finding:
    try:
        path = runtime_directory() / "run" / f"{name}.sock"
    except ActorError as error:
        return problem("control", str(error), error.hint or "set XDG_RUNTIME_DIR to a directory of yours")
    if len(os.fsencode(path)) > MAX_PATH:
        what = f"{path} has {len(os.fsencode(path))} bytes, and a socket's path at most {MAX_PATH}"
        return problem("control", what, "set XDG_RUNTIME_DIR to a shorter one")
    return good("control", f"{path}, for this user alone")
