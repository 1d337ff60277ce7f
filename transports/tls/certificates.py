"""The certificate of a node: self-signed with the node's own key, made when it starts, never written to a disk.

It says nothing but the key. Who is there is proven by that key alone: in TLS by the handshake, which shows that the
server holds it, and on top of it by both nodes (PROTOCOL H).
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from msgspec import Struct

_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node.invalid")])
# RFC 5280 4.1.2.5: for a certificate that has no well-defined end. A wrong clock shall not part two nodes.
_BEGIN: Final = datetime(2000, 1, 1)
_END: Final = datetime(9999, 12, 31, 23, 59, 59)


class NotOurs(Exception):
    """A certificate that no node makes. The text says why."""


class Certificate(Struct, frozen=True, gc=False):
    """What a secure transport serves. `key` is secret, and in no repr."""

    der: bytes
    key: Ed25519PrivateKey

    @property
    def digest(self) -> bytes:
        """What a handshake signs of it (PROTOCOL H3)."""
        return sha256(self.der).digest()

    def pem(self) -> bytes:
        """As OpenSSL reads it."""
        return x509.load_der_x509_certificate(self.der).public_bytes(Encoding.PEM)

    def secret_pem(self) -> bytes:
        """The key, as OpenSSL reads it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"Certificate({self.digest.hex()[:16]}…)"


def make_certificate(key: Ed25519PrivateKey) -> Certificate:
    """A fresh one: another serial number each time."""
    builder = x509.CertificateBuilder(_NAME, _NAME, key.public_key(), x509.random_serial_number(), _BEGIN, _END)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("node.invalid")]), critical=False)
    return Certificate(builder.sign(key, None).public_bytes(Encoding.DER), key)


@lru_cache(maxsize=128)
def key_in(der: bytes) -> bytes:
    """The 32 bytes of the Ed25519 key that a server's certificate is about. Raises NotOurs.

    A node shows the same certificate for as long as it runs: whoever comes back to it has read it before.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise NotOurs("its certificate is not on an Ed25519 key")
        key.verify(certificate.signature, certificate.tbs_certificate_bytes)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotOurs("its certificate cannot be read") from error
    except InvalidSignature:
        raise NotOurs("its certificate is not signed with its own key") from None
    return key.public_bytes_raw()
