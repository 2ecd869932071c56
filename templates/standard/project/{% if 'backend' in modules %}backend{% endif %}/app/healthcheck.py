"""Asks the running backend whether it is well; for HEALTHCHECK."""

import os
import urllib.request

urllib.request.urlopen(f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/health", timeout=3).read()
