"""A store that speaks as much S3 as recordings need, and believes nothing: every signature is reckoned anew.

    bucket.py --access-key KEY --secret-key SECRET --folder FOLDER [--refuse N]

Takes PUT, HEAD, GET and DELETE of /BUCKET/NAME with a signature in the URL (AWS Signature Version 4, query parameters, unsigned
payload) and Content-MD5; refuses the first N PUTs with 503. Prints LISTENING and its port, then one line
"GOT {json}" a request: method, path, status, bytes, and what was wrong in "bad". Objects are files of FOLDER.
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import json
import sys
import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit


def sign(secret, scope, text):
    key = b"AWS4" + secret.encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def judge(method, url, headers, options):
    """What is wrong with a signed request, as a list of sentences."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    signature = given.pop("X-Amz-Signature", "")
    key, *scope = given.get("X-Amz-Credential", "").split("/")
    if given.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" or key != options.access_key or len(scope) != 4:
        return ["algorithm, key or scope"]
    encode = lambda text: quote(text, safe="-_.~")
    query = "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(given.items()))
    names = given.get("X-Amz-SignedHeaders", "").split(";")
    fields = "".join(f"{name}:{(headers.get(name) or '').strip()}\n" for name in names)
    path = quote(unquote(parts.path), safe="/-_.~")
    canonical = "\n".join([method, path, query, fields, ";".join(names), "UNSIGNED-PAYLOAD"])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", given["X-Amz-Date"], "/".join(scope), digest])
    bad = []
    if not hmac.compare_digest(sign(options.secret_key, scope, text), signature):
        bad.append("the signature is wrong")
    begin = datetime.datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    age = (datetime.datetime.now(datetime.timezone.utc) - begin).total_seconds()
    if not -60 < age < int(given["X-Amz-Expires"]):
        bad.append("the signature has expired")
    if "host" not in names:
        bad.append("the host is not signed")
    return bad


def store_class(options):
    folder = pathlib.Path(options.folder)
    left = {"refuse": options.refuse}

    class Store(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body=b"", length=None, bad=()):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            told = json.dumps({"method": self.command, "path": urlsplit(self.path).path, "status": status,
                               "bytes": len(body) if length is None else length, "bad": list(bad)})
            # In one piece: another thread may tell something at the same moment.
            sys.stdout.write(f"GOT {told}\n")
            sys.stdout.flush()

        def serve(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            bad = judge(self.command, self.path, self.headers, options)
            if bad:
                return self.answer(403, bad=bad)
            place = folder / quote(unquote(urlsplit(self.path).path), safe="")
            if self.command == "PUT":
                if left["refuse"] > 0:
                    left["refuse"] -= 1
                    return self.answer(503)
                if base64.b64encode(hashlib.md5(body).digest()).decode() != self.headers.get("Content-MD5"):
                    return self.answer(400, bad=["Content-MD5"])
                place.write_bytes(body)
                return self.answer(200)
            if self.command == "DELETE":
                place.unlink(missing_ok=True)
                return self.answer(204)
            if not place.exists():
                return self.answer(404)
            found = place.read_bytes()
            return self.answer(200, found, len(found))

        do_PUT = do_HEAD = do_GET = do_DELETE = serve

    return Store


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--refuse", type=int, default=0)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), store_class(options))
    print(f"LISTENING {server.server_address[1]}", flush=True)
    server.serve_forever()


main()
