"""Classifies listen addresses (loopback, wildcard), and checks tokens for pages that other machines can reach."""

import ipaddress
import re
import secrets

PORT_MAX = 65535
TOKEN_BYTES = 24
TOKEN_VARIABLE = "SANDBOX_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,200}")


def is_loopback(host: str) -> bool:
    """True if only this machine can connect to the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """True if the address stands for all addresses of this machine."""
    return host in ("", "0.0.0.0", "::")


def new_token() -> str:
    """Return a random token of 192 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_refused(token: str) -> str | None:
    """Return why a chosen token is invalid, or None if it is valid."""
    if _TOKEN.fullmatch(token):
        return None
    return "A token has 8 to 200 letters, digits and . _ ~ -, so that it can stand in an address and in a header."
