#!/usr/bin/env python3
"""A receiver of traces (OTLP/HTTP, JSON) that reads them with the types of the OpenTelemetry project and checks what it reads.

usage: otlp_receiver.py [--fail N] [--token TOKEN]

Prints `URL http://…` when it listens, `TRACE {…}` for every trace it takes, `WRONG …` for what is no good. The first N requests get 503."""

import argparse
import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import ParseDict, ParseError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def with_bytes(value, key=None):
    """OTLP's JSON has ids in hexadecimal where Protobuf's has base64."""
    if isinstance(value, dict):
        return {name: with_bytes(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_bytes(inner) for inner in value]
    if key in ("traceId", "spanId", "parentSpanId"):
        return base64.b64encode(bytes.fromhex(value)).decode()
    return value


def plain(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def read(body):
    """The traces of a request; raises what is wrong with it."""
    request = ParseDict(with_bytes(json.loads(body)), ExportTraceServiceRequest())
    traces = {}
    for group in request.resource_spans:
        resource = plain(group.resource.attributes)
        assert resource["service.name"] == "patchcord" and resource["service.version"], resource
        for scope in group.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and any(span.trace_id), "a trace id of 16 bytes"
                assert len(span.span_id) == 8 and any(span.span_id), "a span id of 8 bytes"
                assert span.name and span.kind and span.start_time_unix_nano > 0, span
                assert span.start_time_unix_nano <= span.end_time_unix_nano, "a span ends before it begins"
                spans = traces.setdefault(span.trace_id.hex(), {})
                assert span.span_id not in spans, "an id twice"
                spans[span.span_id] = span
    for spans in traces.values():
        roots = [span for span in spans.values() if not span.parent_span_id]
        assert len(roots) == 1 and roots[0].name == "call", "one root"
        assert all(not span.parent_span_id or span.parent_span_id in spans for span in spans.values()), "no orphan"
        inside = range(roots[0].start_time_unix_nano, roots[0].end_time_unix_nano + 1)
        assert all(span.start_time_unix_nano in inside for span in spans.values()), "within the call"
    return traces


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.judge(body)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def judge(self, body):
        if self.server.failures > 0:
            self.server.failures -= 1
            return 503
        token = self.server.token
        try:
            assert self.path == "/v1/traces", self.path
            assert self.headers["content-type"] == "application/json"
            assert not token or self.headers["authorization"] == f"Bearer {token}", "the token"
            for trace_id, spans in read(body).items():
                told = [
                    {
                        "name": span.name,
                        "ms": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
                        "attributes": plain(span.attributes),
                        "events": [{"name": event.name, **plain(event.attributes)} for event in span.events],
                        "status": span.status.code,
                    }
                    for span in spans.values()
                ]
                print("TRACE " + json.dumps({"trace_id": trace_id, "spans": told, "bytes": body.decode()}), flush=True)
            return 200
        except (AssertionError, KeyError, ValueError, ParseError) as error:
            print(f"WRONG {error!r}", flush=True)
            return 400

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--token", default="")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.failures, server.token = arguments.fail, arguments.token
    print(f"URL http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
