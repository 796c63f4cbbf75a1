#!/usr/bin/env python3
"""A chat completions service with structured output: judges each question and answers in the way that its path asks for.

usage: completions.py [--key KEY] [--quiet]     prints LISTENING port, then one line ASKED {json} a question; ends at SIGTERM

/right        what the transcript says: of the line "my NAME is VALUE" the field NAME; what is not said is null
/busy         429 with Retry-After: 1 to the first question about a transcript, then right
/down         500 to the first, 503 to the second, then right
/hang-once    no answer to the first, then right        /hang      never an answer
/closes-once  the connection ends to the first, then right
/refused      400             /denied    401            /declines  a refusal in the place of content
/prose        no JSON         /misfit    JSON that is not of the schema
/cut          finish_reason length                      /giant     10 MB
/html         an HTML page    /redirect  307 to /right

A question is judged by the OpenAI guide to structured outputs: strict, every object closed and every property required."""
import argparse
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jsonschema import Draft202012Validator

LOCK = threading.Lock()


def unclosed(schema, path="#"):
    """The objects of a schema that strict mode would refuse."""
    found = []
    if isinstance(schema, dict):
        if "properties" in schema:
            if schema.get("additionalProperties") is not False:
                found.append(f"{path} is open")
            if set(schema.get("required", [])) != set(schema["properties"]):
                found.append(f"{path} does not require all its properties")
        for name, below in schema.items():
            found += unclosed(below, f"{path}/{name}")
    elif isinstance(schema, list):
        for index, below in enumerate(schema):
            found += unclosed(below, f"{path}/{index}")
    return found


def judge(headers, body, key):
    """What is wrong with a question, as sentences, and the question."""
    wrong = []
    if headers.get("authorization") != f"Bearer {key}":
        wrong.append("the key is missing or wrong")
    if not headers.get("content-type", "").startswith("application/json"):
        wrong.append("the content-type is not application/json")
    try:
        question = json.loads(body)
    except ValueError as error:
        return [*wrong, f"the body is not JSON: {error}"], {}
    if not isinstance(question.get("model"), str):
        wrong.append("there is no model")
    roles = [message.get("role") for message in question.get("messages", [])]
    if roles[:1] != ["system"] or "user" not in roles or not set(roles) <= {"system", "user", "assistant"}:
        wrong.append(f"the roles are {roles}")
    wrong += [f"message {at} has no text" for at, message in enumerate(question.get("messages", [])) if not isinstance(message.get("content"), str)]
    form = question.get("response_format", {})
    if form.get("type") != "json_schema":
        return [*wrong, "response_format is no json_schema"], question
    inner = form.get("json_schema", {})
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(inner.get("name"))):
        wrong.append("json_schema.name")
    if inner.get("strict") is not True:
        wrong.append("it is not strict")
    Draft202012Validator.check_schema(inner.get("schema"))
    return wrong + unclosed(inner["schema"]), question


class Question(BaseHTTPRequestHandler):
    """One connection."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        wrong, question = judge(headers, body, self.server.key)
        said = next((message["content"] for message in question.get("messages", []) if message.get("role") == "user"), "")
        mode = self.path.strip("/").split("/")[0]
        with LOCK:
            nth = self.server.seen[(mode, said)] = self.server.seen.get((mode, said), 0) + 1
            if not self.server.quiet:
                print("ASKED", json.dumps({"mode": mode, "nth": nth, "ok": not wrong, "violations": wrong, "said": said}), flush=True)
        try:
            self.reply(mode, nth, question, said)
        except OSError:
            pass

    def reply(self, mode, nth, question, said):
        once = mode in ("busy", "hang-once", "closes-once") and nth == 1
        if mode == "busy" and once:
            return self.send(429, {"error": {"message": said}}, {"Retry-After": "1"})
        if mode == "down" and nth < 3:
            return self.send(500 if nth == 1 else 503, {"error": {"message": said}})
        if mode == "hang" or (mode == "hang-once" and once):
            self.connection.recv(1)
            return None
        if mode == "closes-once" and once:
            return self.connection.shutdown(2)
        if mode in ("refused", "denied"):
            return self.send(400 if mode == "refused" else 401, {"error": {"message": said}})
        if mode == "html":
            return self.send(200, f"<html>{said}</html>")
        if mode == "redirect":
            return self.send(307, {}, {"Location": "/right"})
        if mode == "giant":
            return self.send(200, "x" * 10_000_000)
        schema = question["response_format"]["json_schema"]["schema"]
        lines = "\n".join(json.loads(line)["text"] for line in said.split("\n")[1:])
        found = {name: None for name in schema["properties"]}
        whole = {name for name, below in schema["properties"].items() if "integer" in below.get("type", [])}
        for name, value in re.findall(r"my (\w+) is (.+)", lines):
            if name in found:
                found[name] = int(value) if name in whole else value
        if mode not in ("misfit", "prose", "cut"):
            Draft202012Validator(schema).validate(found)
        content = json.dumps(found)
        content = {"prose": f"They said: {lines}", "misfit": json.dumps({"said": lines})}.get(mode, content)
        message = {"role": "assistant", "content": content, "refusal": None}
        if mode == "declines":
            message = {"role": "assistant", "content": None, "refusal": lines}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length" if mode == "cut" else "stop"}
        return self.send(200, {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": question["model"],
                               "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})

    def send(self, status, body, headers=()):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", default="sk-test")
    parser.add_argument("--quiet", action="store_true", help="tell of no question")
    args = parser.parse_args()
    with Server(("127.0.0.1", 0), Question) as server:
        server.key, server.quiet, server.seen = args.key, args.quiet, {}
        print("LISTENING", server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
