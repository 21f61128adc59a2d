"""Stand-ins for Oplead, Google and Meta that accept everything and answer at once, in a process of their own.

The sandbox is strict and therefore slow; these only count, so that a benchmark measures the job and not its platforms.
Run as a script: it prints its addresses as one JSON line, and ends when its standard input does.
"""

import asyncio
import json
import re
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import parse_qs, urlsplit

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.ads.googleads.v26.services.types import ClickConversionResult, UploadClickConversionsResponse

HOUR = timedelta(hours=1)
CONVERSIONS = 2
"""The number of the field `conversions` in the Google Ads API's upload request."""
UPLOADS = "google.ads.googleads.v26.services.ConversionUploadService"
LARGEST_MESSAGE = 64 << 20
NAMES = ("Camille", "Zoé", "François", "Hélène", "Noël", "Aïcha", "Jean-Luc")
SURNAMES = ("Lefèvre", "Garçon", "D'Arcy", "Le Goff", "Moreau")
TOWNS = (("Lyon", "69003"), ("Évry", "91000"), ("Saint-Étienne", "42000"))


class Platforms:
    """What the platforms answer; the first part of an Oplead address says which leads it has.

    `/leads-2000` has 2,000 leads; `/slow-1500-20000` has one lead a page, each after 1,500 ms, for 20,000 ms.
    """

    def __init__(self):
        self.counts = Counter()
        self.lock = threading.Lock()
        self.arrivals = []
        self.now = datetime.now(UTC).replace(microsecond=0)

    def count(self, platform, rows):
        """Count an upload and its rows."""
        with self.lock:
            self.counts[f"{platform} requests"] += 1
            self.counts[f"{platform} rows"] += rows
            return self.counts[f"{platform} requests"]

    def answer(self, path, query, body):
        """The JSON of an answer, and how many seconds it takes."""
        parts = path.strip("/").split("/")
        kind, *numbers = parts[0].split("-")
        if kind == "leads":
            first = (int(query["page"][0]) - 1) * int(query["limit"][0])
            return self.page(first, 0 if "since" in query else int(numbers[0]), int(query["limit"][0])), 0.0
        if kind == "slow":
            return self.slow_page(int(query["page"][0]), *(int(number) / 1000 for number in numbers))
        return self.platform(path, body), 0.0

    @cache  # noqa: B019 - there is one of these, for as long as its process
    def page(self, first, leads, size):
        """One page of the list of leads."""
        found = [self.lead(number) for number in range(first, min(leads, first + size))]
        return json.dumps({"data": found, "total": leads}, ensure_ascii=False).encode()

    def slow_page(self, number, latency, seconds):
        """A page of one lead; once the time is over, a page without any."""
        began = time.monotonic()
        self.arrivals = [*(self.arrivals if number > 1 else ()), began]
        found = [self.lead(number)] if began - self.arrivals[0] < seconds else []
        return json.dumps({"data": found}, ensure_ascii=False).encode(), latency

    def lead(self, number):
        """A lead that came from ads of both platforms, got an appointment and a quote, and was won a day ago."""
        created = self.now - timedelta(days=5, seconds=number % 3600)
        won = self.now - timedelta(days=1, seconds=number % 7200)
        steps = (("Nouveau", created), ("Rendez-vous", won - 12 * HOUR), ("Devis", won - 6 * HOUR), ("Gagné", won))
        town, postcode = TOWNS[number % len(TOWNS)]
        click = f"{number:08}Qw_{number * 7_919 % 1_000_003:07}BwE"
        return {
            "id": f"L-{number}",
            "createdAt": created.isoformat(),
            "updatedAt": won.isoformat(),
            "status": "Gagné",
            "statusDate": won.isoformat(),
            "statusHistory": [{"status": label, "date": at.isoformat()} for label, at in steps],
            "provider": {"name": "Formulaire", "url": "https://exemple.fr/devis"},
            "channel": "Site web",
            "amount": f"{8_000 + number % 900},50",
            "contact": {
                "firstname": NAMES[number % len(NAMES)],
                "lastname": SURNAMES[number % len(SURNAMES)],
                "email": f"lead{number}@exemple.fr",
                "mobile": f"06 {number // 10**6 % 100:02} {number // 10**4 % 100:02} {number // 100 % 100:02} 12",
                "address": {"postcode": postcode, "city": town, "country": "FR"},
            },
            "leadData": {
                "externalID": f"gclid=Cj0KCQjwbenchmark{click}&fbclid=IwARbenchmark0123456789{click}",
                "consent": "oui",
                "adPersonalization": "oui",
                "utm_source": "google",
                "utm_campaign": f"campagne-{number % 20}",
            },
        }

    def platform(self, path, body):
        """What Google's token server, the Data Manager API or Meta answers."""
        if path == "/token":
            return b'{"access_token": "ya29.bench", "expires_in": 3600, "token_type": "Bearer"}'
        if path == "/v1/events:ingest":
            return b'{"requestId": "r%d"}' % self.count("data_manager", body.count(b'"transactionId"'))
        if path == "/v1/requestStatus:retrieve":
            return b'{"requestStatusPerDestination": [{"requestStatus": "SUCCESS"}]}'
        if path.endswith("/events"):
            rows = body.count(b"event_name")
            self.count("meta", rows)
            return b'{"events_received": %d, "messages": [], "fbtrace_id": "Abench"}' % rows
        if path == "/uploads":
            with self.lock:
                counts, self.counts = self.counts, Counter()
            return json.dumps(counts).encode()
        if path == "/arrivals":
            return json.dumps(self.arrivals).encode()
        raise ValueError(path)

    def upload(self, request, _context):
        """Accept every conversion of a request to the Google Ads API."""
        rows = sum(field == CONVERSIONS for field in fields(request))
        self.count("google_ads_api", rows)
        return RESULT * rows


RESULT = UploadClickConversionsResponse.serialize(
    UploadClickConversionsResponse(
        results=[
            ClickConversionResult(
                gclid="Cj0KCQjwbenchmark0123456789BwE",
                conversion_action="customers/1234567890/conversionActions/987654321",
                conversion_date_time="2026-09-10 03:30:00+00:00",
            )
        ]
    )
)
"""One row of an answer of the Google Ads API; rows follow each other."""


def fields(message):
    """Yield the numbers of a protobuf message's own fields."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        value, at = varint(message, at)
        yield tag >> 3
        if tag & 7 == 2:  # length-delimited; the request's other fields are varints
            at += value


def varint(message, at):
    """The number at a place, and the place behind it."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


class Wire(asyncio.Protocol):
    """One HTTP/1.1 connection, with no more of HTTP than our clients use."""

    def __init__(self, platforms):
        self.platforms, self.received = platforms, b""

    def connection_made(self, transport):
        """Keep what to answer on."""
        self.transport = transport

    def data_received(self, data):
        """Answer each request that is complete."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head, body_at = self.received[:end], end + 4
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            until = body_at + (int(length[1]) if length else 0)
            if len(self.received) < until:
                return
            body, self.received = self.received[body_at:until], self.received[until:]
            self.answer(head, body)

    def answer(self, head, body):
        """Answer one request, now or in some seconds."""
        target = urlsplit(head.split(b" ", 2)[1].decode())
        try:
            status, (found, seconds) = b"200 OK", self.platforms.answer(target.path, parse_qs(target.query), body)
        except (ValueError, KeyError) as error:
            status, found, seconds = b"404 Not Found", json.dumps(repr(error)).encode(), 0.0
        answer = b"HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s" % (
            status,
            len(found),
            found,
        )
        asyncio.get_running_loop().call_later(seconds, self.transport.write, answer)


def serve_grpc(platforms):
    """Start the Google Ads API; return its server and port."""
    upload = grpc.unary_unary_rpc_method_handler(platforms.upload)
    server = grpc.server(
        ThreadPoolExecutor(2),
        options=[("grpc.max_receive_message_length", LARGEST_MESSAGE)],
        handlers=[grpc.method_handlers_generic_handler(UPLOADS, {"UploadClickConversions": upload})],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def key_file(address):
    """The text of a service account's key whose tokens come from this address."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    names = {"type": "service_account", "project_id": "bench", "private_key_id": "1", "client_id": "1"}
    return json.dumps(
        names
        | {
            "private_key": key.decode(),
            "client_email": "bench@bench.iam.gserviceaccount.com",
            "token_uri": f"{address}/token",
        }
    )


async def serve():
    """Serve until standard input ends, as it does when the process that started this one is gone."""
    platforms = Platforms()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(platforms), "127.0.0.1", 0)
    google_ads, port = serve_grpc(platforms)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    told = {"http": address, "grpc": f"http://127.0.0.1:{port}", "key": key_file(address)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    google_ads.stop(None)


if __name__ == "__main__":
    asyncio.run(serve())
