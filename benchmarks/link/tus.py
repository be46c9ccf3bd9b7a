"""The tus protocol as it comes from PyPI (`resumable-upload`): its server and its client, over mutual TLS.

`python -m benchmarks.link.tus serve HOST PORT CERTIFICATE KEY CLIENT_CA FOLDER`, or `... send URL FILE
CERTIFICATE KEY CA`, which says how it went by its exit code.
"""

import http.server
import ssl
import sys
from pathlib import Path

from resumable_upload import TusClient, TusServer
from resumable_upload.server.http_handler import TusHTTPRequestHandler
from resumable_upload.storage import SQLiteStorage

RETRIES = 60  # until the patience of the benchmark is over


def serve(host: str, port: str, certificate: str, key: str, clients: str, folder: str) -> None:
    at = Path(folder)
    storage = SQLiteStorage(db_path=str(at / "tus.db"), upload_dir=str(at / "files"))

    class Handler(TusHTTPRequestHandler):
        tus_server = TusServer(
            storage=storage, base_path="/files", location_base_url=f"https://{host}:{port}"
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(clients)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def send(url: str, file: str, certificate: str, key: str, authorities: str) -> None:
    client = TusClient(url, max_retries=RETRIES, retry_delay=0.5, timeout=6.0)
    client.ssl_context = ssl.create_default_context(cafile=authorities)
    client.ssl_context.load_cert_chain(certificate, key)
    client.upload_file(file)


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
