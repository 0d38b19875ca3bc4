"""A shop in two variants, each on a port of its own, that asks GrowthBook's SDK as well.

    python app.py [PORT OF control] [PORT OF treatment]

Each answer says which variant serves, which one the gateway named, and which one the SDK has.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from growthbook import GrowthBook

FEATURES = json.loads(Path(__file__).with_name("features.json").read_text())["features"]


def sdk(user):
    engine = GrowthBook(attributes={"id": user} if user else {}, features=FEATURES)
    try:
        return engine.get_feature_value("checkout", None)
    finally:
        engine.destroy()


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answer = {
            "server": self.server.variant,
            "gateway": self.headers.get("x-split-variant"),
            "sdk": sdk(self.headers.get("x-user-id")),
        }
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ports = [int(port) for port in sys.argv[1:]] or [8081, 8082]
for variant, port in zip(["control", "treatment"], ports):
    server = ThreadingHTTPServer(("127.0.0.1", port), Shop)
    server.variant = variant
    threading.Thread(target=server.serve_forever).start()
    print(variant, server.server_port, flush=True)
