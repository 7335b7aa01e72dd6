"""Creates or loads the certificate of a TLS listener.

Unless the user provides a certificate, the folder `dev.db.tls` is created beside `dev.db` with

    ca.pem        the certificate authority (CA) that clients must trust
    server.pem    the server's certificate, for localhost, 127.0.0.1 and ::1
    server.key    its key
    client.pem    a certificate for clients, for listeners that require one
    client.key    its key

The CA's own key is not stored. So a program with access to the folder can't issue other certificates that a machine
which trusts ca.pem would accept.
"""

import datetime
import ipaddress
import logging
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.kafka.errors import SandboxError
from sandbox.wire.auth.listener import Listener, TlsFiles

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

VALID_DAYS = 825
"""The longest validity that every TLS library accepts."""
ADDRESSES = ("127.0.0.1", "::1")

logger = logging.getLogger("sandbox")


class CertificateMissing(SandboxError):
    """A TLS listener has no certificate, or it can't be read."""


def tls_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder of a sandbox file's certificates."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ".tls")


def server_context(listener: Listener, path: str | os.PathLike[str]) -> ssl.SSLContext:
    """Return the SSL context of a listener.

    Args:
        listener: a listener with TLS.
        path: the sandbox file. A certificate is created beside it if the listener has none.

    Raises:
        CertificateMissing: with the reason and what to do.
    """
    files = listener.tls or make_files(tls_folder(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
        if listener.client_auth:
            if files.client_ca is None:
                raise CertificateMissing("Clients must show a certificate, but it is not said which authority's.")
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise CertificateMissing(
            f"The certificate {files.certificate} with the key {files.key} cannot be used: "
            f"{getattr(error, 'reason', None) or error.strerror or error}."
        ) from error
    return context


def make_files(folder: Path) -> TlsFiles:
    """Return the certificates in a folder. Creates them if they don't exist or have expired.

    Raises:
        CertificateMissing: the package `cryptography` is not installed, or the folder can't be written.
    """
    files = TlsFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    try:
        from cryptography import x509
    except ImportError:
        if Path(files.certificate).exists():
            return files
        raise CertificateMissing(
            "A listener with TLS needs a certificate, and the package that makes one is not installed: "
            "pip install 'kafka-sandbox[tls]'. Or bring a certificate: --tls-cert and --tls-key."
        ) from None
    try:
        if Path(files.certificate).exists():
            found = x509.load_pem_x509_certificate(Path(files.certificate).read_bytes())
            if found.not_valid_after_utc > datetime.datetime.now(datetime.UTC):
                return files
            logger.warning("the certificates in %s have expired: creating new ones", folder)
        _write_all(folder)
    except (OSError, ValueError) as error:
        raise CertificateMissing(f"The certificates in {folder} cannot be read or made: {error}") from error
    return files


def _write_all(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    folder.mkdir(mode=0o700, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Kafka Sandbox authority", authority_key, None, authority_key, [])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]
    purposes: dict[str, tuple[str, list[x509.ExtensionType]]] = {
        "client": ("sandbox client", [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]),
        "server": (
            "localhost",
            [x509.SubjectAlternativeName(names), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])],
        ),
    }
    _write(folder / "ca.pem", authority.public_bytes(serialization.Encoding.PEM))
    for name, (common_name, extensions) in purposes.items():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(common_name, key, authority, authority_key, extensions)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(folder / f"{name}.key", pem)
        _write(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _certificate(
    name: str,
    key: "EllipticCurvePrivateKey",
    issuer: "x509.Certificate | None",
    issuer_key: "EllipticCurvePrivateKey",
    extensions: "list[x509.ExtensionType]",
) -> "x509.Certificate":
    """Create a certificate: a CA certificate if `issuer` is None."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=issuer is not None, key_cert_sign=issuer is None, crl_sign=issuer is None, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _write(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
