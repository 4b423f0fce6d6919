"""A backend of traces: takes OTLP over HTTP, decodes the protobuf, and keeps the spans.

    with Backend() as backend:
        gateway = self.gateway(..., {"tracing": {"endpoint": backend.url}})
        ...
        trace = backend.wait_for_trace("POST /v1/chat/completions")
        trace.tree()      # [("POST /v1/chat/completions", [("chat m", [("POST", [])])])]
"""

import http.server
import threading

import harness.protobuf  # noqa: F401
from harness.penstock import wait_until

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (ExportTraceServiceRequest,
                                                                      ExportTraceServiceResponse)

FLUSH = "penstock.usage.flush"
KINDS = {0: "unspecified", 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


def value_of(any_value):
    kind = any_value.WhichOneof("value")
    return getattr(any_value, kind) if kind else None


class Span:
    def __init__(self, span):
        self.name = span.name
        self.kind = KINDS[span.kind]
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex().strip("0") and span.parent_span_id.hex()
        self.begin, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = {a.key: value_of(a.value) for a in span.attributes}
        self.events = [e.name for e in span.events]
        self.links = [link.trace_id.hex() for link in span.links]
        self.status = {0: "unset", 1: "ok", 2: "error"}[span.status.code]
        self.flags = span.flags

    def __repr__(self):
        return f"{self.name} ({self.kind}, {self.status}) {self.attributes}"


class Trace:
    def __init__(self, spans):
        self.spans = sorted(spans, key=lambda s: s.begin)

    @property
    def root(self):
        ids = {s.span_id for s in self.spans}
        roots = [s for s in self.spans if s.parent_id not in ids]
        assert len(roots) == 1, roots
        return roots[0]

    def named(self, name):
        found = [s for s in self.spans if s.name == name]
        assert len(found) == 1, (name, self.spans)
        return found[0]

    def tree(self, span=None):
        """Names and what is below them, in the order of their begin."""
        if span is None:
            return self.tree(self.root)
        return (span.name, [self.tree(s) for s in self.spans if s.parent_id == span.span_id])


class Backend:
    def __init__(self):
        self.lock = threading.Lock()
        self.spans, self.requests, self.resources, self.scopes = [], [], [], []
        self.status = 200
        self.hold = threading.Event()  # while it is clear nothing is answered
        self.hold.set()
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                backend.take(self.path, dict(self.headers), body)
                backend.hold.wait(60)
                answer = ExportTraceServiceResponse().SerializeToString() if backend.status == 200 else b"no"
                try:
                    self.send_response(backend.status)
                    self.send_header("content-type", "application/x-protobuf")
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # who waited for it has left

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path, headers, body):
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.requests.append((path, {k.lower(): v for k, v in headers.items()}, body))
            if self.status != 200:
                return
            for resource_spans in request.resource_spans:
                self.resources.append({a.key: value_of(a.value) for a in resource_spans.resource.attributes})
                for scope in resource_spans.scope_spans:
                    self.scopes.append((scope.scope.name, scope.scope.version))
                    self.spans += [Span(s) for s in scope.spans]

    def traces(self):
        with self.lock:
            by_id = {}
            for span in self.spans:
                by_id.setdefault(span.trace_id, []).append(span)
        return {i: Trace(spans) for i, spans in by_id.items()}

    def wait_for(self, request_id):
        """The trace of the request with this id."""
        def look():
            for trace in self.traces().values():
                if any(s.attributes.get("penstock.request_id") == request_id for s in trace.spans):
                    return trace
            return None
        return wait_until(look, f"the trace of {request_id} has come")

    def flushes(self):
        """The writes of usage rows."""
        with self.lock:
            return [s for s in self.spans if s.name == FLUSH]

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
