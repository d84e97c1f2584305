"""Keys and certificates of one control plane; they live as long as it does."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
CLOCK_SKEW = timedelta(minutes=5)
SERVES, CALLS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
BOTH = (SERVES, CALLS)
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERVER_ADDRESSES = ("127.0.0.1", "10.100.0.1")
"""Loopback, and the service `kubernetes` in EKS's default service range."""


def issue(folder: Path) -> None:
    """Write `ca.crt`, `{server,etcd,access}.{crt,key}` and `service-account.{key,pub}`.

    etcd and the API server show each other the same certificate, as do the API server and what
    says whom it lets in (`access`); nobody else has one.

    The key of the authority is thrown away: nothing else will ever be signed with it.
    """
    authority, accounts = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("plinth-local-authority")
    signs = x509.BasicConstraints(ca=True, path_length=0)
    ca = _builder(issuer, issuer, authority.public_key()).add_extension(signs, critical=True)
    alternatives = x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in SERVER_NAMES),
            *(x509.IPAddress(ip_address(address)) for address in SERVER_ADDRESSES),
        ]
    )
    _write(folder / "ca.crt", _certificate(ca, authority))
    for name, uses in (("server", (SERVES,)), ("etcd", BOTH), ("access", BOTH)):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _builder(_name(f"plinth-local-{name}"), issuer, key.public_key())
        leaf = leaf.add_extension(alternatives, critical=False)
        leaf = leaf.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        _write(folder / f"{name}.crt", _certificate(leaf, authority))
        _write(folder / f"{name}.key", _private(key))
    _write(folder / "service-account.key", _private(accounts))
    _write(
        folder / "service-account.pub",
        accounts.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - CLOCK_SKEW,
        not_valid_after=now + LIFETIME,
    )


def _certificate(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
