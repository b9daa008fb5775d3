"""Asks a name server of a lab for an address, over the lab's dialer."""

from __future__ import annotations

import time

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from labctl.cloud.http import Dialer
from labctl.errors import RemoteError


def addresses(dialer: Dialer, server: str, name: str, *, timeout: float) -> list[str]:
    """Return the IPv4 addresses that a name has; nothing where the server knows the name without one.

    It asks by TCP, because that is what a dialer opens.

    Args:
        server: name or address in the lab.
        timeout: seconds for the connection, and again for the answer.

    Raises:
        RemoteError: the server says that there is no such name, does not want to tell, or answers nonsense.
        LabctlError: it cannot be reached.
    """
    question = dns.message.make_query(name, "A")
    with dialer.open(server, 53, timeout=timeout) as opened:
        opened.setblocking(False)
        until = time.time() + timeout
        try:
            dns.query.send_tcp(opened, question, until)
            answer, _ = dns.query.receive_tcp(opened, until)
        except (dns.exception.DNSException, EOFError, OSError) as exc:
            raise RemoteError(f"{server} does not answer a question for {name}", details=str(exc)) from exc
    if not question.is_response(answer):
        raise RemoteError(f"{server} answers another question than the one for {name}")
    if code := answer.rcode():
        raise RemoteError(f"{server} says {dns.rcode.to_text(code)} to {name}")
    return [found.to_text() for records in answer.answer if records.rdtype == dns.rdatatype.A for found in records]
