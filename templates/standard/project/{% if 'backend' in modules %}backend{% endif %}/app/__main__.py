"""Runs the backend until SIGTERM or SIGINT."""

import logging
import os
import signal
import threading

from app.server import make_server

logging.basicConfig(level=os.environ.get("LOG_LEVEL", "info").upper(), format="%(asctime)s %(levelname)s %(message)s")
server = make_server("", int(os.environ.get("PORT", "8000")))
for number in (signal.SIGTERM, signal.SIGINT):
    # shutdown() waits for the loop, which this thread runs.
    signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
logging.info("listening on port %d", server.server_address[1])
server.serve_forever()
server.server_close()
