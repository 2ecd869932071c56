"""422 to a request that keeps to its schema is right for what no schema can say, and for nothing else."""

import itertools
import os
import re
import uuid

import schemathesis

REASONS = [
    r"names nothing that exists$",  # a reference
    r"^no (user|project|task) ",
    r"^has no word to search for",
    r"^was used with another method, address or body$",
    r"^a key of type system belongs to no project",
    r"differs from the id in the path$",
    r"^is \"[^\"]*\": expected a UUID$",  # a message's request_id: any text in a stream, the key of what is kept here
    r"but the address names ",
    r"expected http://HOST:PORT, https://HOST:PORT or http\+unix:///PATH$",  # parsed, not matched
]


# It deletes what lists show it: but not the tokens that this run itself needs.
KEPT_TOKENS = os.environ.get("KEPT_TOKENS", "").split(",")


@schemathesis.hook
def filter_path_parameters(ctx, path_parameters):
    return not path_parameters or path_parameters.get("id") not in KEPT_TOKENS


# A key used before, or an ETag that is none, would hide the body behind 422 and 412: most requests have a key of their own
# and no ETag, which would also make most answers 304.
counter = itertools.count()


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if not is_positive(case) or not case.headers or next(counter) % 4 == 0:
        return
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    for name in ("If-Match", "If-None-Match"):
        case.headers.pop(name, None)


@schemathesis.check
def refused_for_what_no_schema_says(ctx, response, case):
    if response.status_code != 422 or not is_positive(case):
        return
    for error in response.json().get("errors") or [{"path": "", "message": response.json().get("detail")}]:
        message = error["message"]
        if not any(re.search(reason, message) for reason in REASONS):
            raise AssertionError(f"the schema allows what is refused: {error['path']}: {message}")
