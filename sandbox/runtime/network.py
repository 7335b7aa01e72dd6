"""Who can reach an address to listen at, and the token that the page asks for where others can."""

import ipaddress
import re
import secrets

TOKEN_BYTES = 24
TOKEN_VARIABLE = "SANDBOX_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,200}")


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is this machine's alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Whether it stands for every address of this machine."""
    return host in ("", "0.0.0.0", "::")


def new_token() -> str:
    """A token that nobody guesses: 192 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_refused(token: str) -> str | None:
    """Why a token that somebody chose cannot be one; None where it can."""
    if _TOKEN.fullmatch(token):
        return None
    return "A token has 8 to 200 letters, digits and . _ ~ -, so that it can stand in an address and in a header."
