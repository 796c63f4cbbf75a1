#!/usr/bin/env python3
"""A phone by hand, honest and forged: REGISTER and INVITE with digest (RFC 7616, RFC 3261 section 10), each step judged.

usage: extension.py HOST:PORT NUMBER PASSWORD [--dial echo]

Prints VERDICT {"ok": …, "violations": […], "steps": […]} and exits 0 when everything was as it has to be. The sums are hashlib's."""

import argparse
import hashlib
import json
import re
import socket
import sys
import uuid

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}


class Phone:
    def __init__(self, gateway, number, password, address="127.0.0.1"):
        self.gateway, self.number, self.password = gateway, number, password
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(3)
        self.at = "%s:%d" % self.socket.getsockname()
        self.call_id, self.tag, self.cseq = uuid.uuid4().hex, uuid.uuid4().hex[:8], 0

    def request(self, method, uri, to, extra="", body="", cseq=None, ack=False):
        """Sends a request; returns the final answer, or None after three seconds."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        content = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.77.5:5060;branch=z9hG4bK{uuid.uuid4().hex};rport\r\n"
            f"From: <sip:{self.number}@{self.gateway}>;tag={self.tag}\r\nTo: {to}\r\nCall-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\n"
            f"Max-Forwards: 70\r\n{extra}{content}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        host, port = self.gateway.split(":")
        self.socket.sendto(text.encode(), (host, int(port)))
        if ack:
            return None
        try:
            while True:
                answer = Answer(self.socket.recv(65536).decode())
                if answer.code >= 200 and f"{cseq} {method}" in answer.text:
                    return answer
        except socket.timeout:
            return None

    def register(self, extra="", contact=None):
        uri = f"sip:{self.gateway}"
        contact = contact or f"Contact: <sip:{self.number}@192.168.77.5:5060>\r\n"
        return self.request("REGISTER", uri, f"<sip:{self.number}@{self.gateway}>", extra + contact)

    def authorization(self, challenge, method, uri, nc, user=None, password=None):
        hashed = lambda *parts: HASHES[challenge["algorithm"]](":".join(parts).encode()).hexdigest()
        user, password, cnonce = user or self.number, password or self.password, "0a4f113b"
        secret = hashed(user, challenge["realm"], password)
        response = hashed(secret, challenge["nonce"], nc, cnonce, "auth", hashed(method, uri))
        return (
            f'Authorization: Digest username="{user}", realm="{challenge["realm"]}", nonce="{challenge["nonce"]}", uri="{uri}", '
            f'response="{response}", algorithm={challenge["algorithm"]}, qop=auth, nc={nc}, cnonce="{cnonce}"\r\n'
        )


class Answer:
    def __init__(self, text):
        self.text, self.code = text, int(text.split()[1])

    def all(self, name):
        return re.findall(rf"^{name}: (.*)\r$", self.text, re.M)

    def challenges(self):
        found = []
        for value in self.all("WWW-Authenticate"):
            found.append({name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([\w-]+))', value)})
        return found


class Judge:
    def __init__(self):
        self.steps, self.violations = [], []

    def expect(self, step, found, wanted):
        self.steps.append(step)
        if found != wanted:
            self.violations.append(f"{step}: {found}, not {wanted}")


def code(answer):
    return answer.code if answer else None


def registers(judge, gateway, number, password):
    for algorithm in HASHES:
        phone, uri = Phone(gateway, number, password), f"sip:{gateway}"
        first = phone.register()
        offered = [challenge["algorithm"] for challenge in first.challenges()]
        judge.expect("SHA-256 is offered first, then MD5", offered, ["SHA-256", "MD5"])
        challenge = next(one for one in first.challenges() if one["algorithm"] == algorithm)
        counts = [("00000001", 200), ("00000009", 200), ("0000000a", 200), ("0000000a", 401), ("00000009", 401), ("00000010", 200), ("ffffffff", 200)]
        for nc, wanted in counts:
            answer = phone.register(phone.authorization(challenge, "REGISTER", uri, nc))
            judge.expect(f"{algorithm} nc={nc}", code(answer), wanted)
            if wanted == 401:
                judge.expect(f"{algorithm} nc={nc} again is stale", answer.challenges()[0].get("stale"), "true")
        odd = phone.authorization(challenge, "REGISTER", uri, "00000011").replace("nc=00000011", "nc=11")
        judge.expect(f"{algorithm} nc=11", code(phone.register(odd)), 401)
        elsewhere = phone.authorization(challenge, "REGISTER", "sip:elsewhere", "fffffffe")
        judge.expect(f"{algorithm} for another URI", code(phone.register(elsewhere)), 400)


def contacts(judge, gateway, number, password):
    phone, uri, nc = Phone(gateway, number, password), f"sip:{gateway}", 0
    challenge = phone.register().challenges()[0]

    def register(contact):
        nonlocal nc
        nc += 1
        return phone.register(phone.authorization(challenge, "REGISTER", uri, f"{nc:08x}"), contact)

    register("Contact: *\r\nExpires: 0\r\n")
    two = register("Contact: <sip:1@10.1.1.1>;q=0.3;expires=120, <sip:2@10.1.1.2;transport=tcp>\r\nExpires: 300\r\n")
    judge.expect("two contacts with what is left of them", two.all("Contact"), ["<sip:1@10.1.1.1>;expires=120;q=0.3", "<sip:2@10.1.1.2;transport=tcp>;expires=300;q=1"])
    brief = register("Contact: <sip:1@10.1.1.1>;expires=30\r\n")
    judge.expect("too brief", (code(brief), brief.all("Min-Expires")), (423, ["60"]))
    judge.expect("a wildcard that expires later", code(register("Contact: *\r\nExpires: 60\r\n")), 400)
    judge.expect("a fetch", len(register("Contact-Not: x\r\n").all("Contact")), 2)
    cleared = register("Contact: *\r\nExpires: 0\r\n")
    judge.expect("all taken away", (code(cleared), cleared.all("Contact")), (200, []))


def strangers(judge, gateway, number, password):
    uri, answers = f"sip:{gateway}", []
    for who in (number, "9" * len(number)):
        phone = Phone(gateway, who, "wrong")
        first = phone.register()
        second = phone.register(phone.authorization(first.challenges()[0], "REGISTER", uri, "00000001"))
        plain = [re.sub(r'nonce="[^"]*"|branch=\w+|tag=\w+|Call-ID: \w+|rport=\d+|' + who, "…", one.text) for one in (first, second)]
        answers.append((code(second), plain))
    judge.expect("a wrong password", answers[0][0], 403)
    judge.expect("an unknown number looks the same", answers[1], answers[0])
    other = Phone(gateway, "9" * len(number), "x")
    forged = other.authorization(other.register().challenges()[0], "REGISTER", uri, "00000001", number, password)
    judge.expect("a number registers for itself alone", code(other.register(forged)), 403)


def calls(judge, gateway, number, password, dial):
    phone, uri = Phone(gateway, number, password), f"sip:{dial}@{gateway}"
    to, contact = f"<{uri}>", f"Contact: <sip:{number}@{phone.at}>\r\n"
    challenged = phone.request("INVITE", uri, to, contact, SDP)
    judge.expect("a call is challenged", code(challenged), 401)
    phone.request("ACK", uri, challenged.all("To")[0], cseq=phone.cseq, ack=True)
    wrong = phone.authorization(challenged.challenges()[0], "INVITE", uri, "00000001", password="wrong")
    judge.expect("a call with a wrong password", code(phone.request("INVITE", uri, to, wrong + contact, SDP)), 403)
    right = phone.authorization(challenged.challenges()[0], "INVITE", uri, "00000001")
    answered = phone.request("INVITE", uri, to, right + contact, SDP)
    judge.expect("a call with the right one", code(answered), 200)
    if code(answered) != 200:
        return
    to = answered.all("To")[0]
    phone.request("ACK", uri, to, cseq=phone.cseq, ack=True)
    replay = Phone(gateway, number, password)
    judge.expect("its credentials again", code(replay.request("INVITE", uri, f"<{uri}>", right + contact, SDP)), 401)
    thief = Phone(gateway, number, password, "127.0.0.2")
    thief.call_id, thief.tag, thief.cseq = phone.call_id, phone.tag, phone.cseq
    judge.expect("a BYE of another address", code(thief.request("BYE", uri, to)), 481)
    judge.expect("a question within the call, which lives", code(phone.request("OPTIONS", uri, to)), 200)
    judge.expect("its own BYE", code(phone.request("BYE", uri, to)), 200)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("gateway")
    p.add_argument("number")
    p.add_argument("password")
    p.add_argument("--dial", default="echo")
    args = p.parse_args()
    judge, who = Judge(), (args.gateway, args.number, args.password)
    try:
        registers(judge, *who)
        contacts(judge, *who)
        strangers(judge, *who)
        calls(judge, *who, args.dial)
    except (AttributeError, IndexError, KeyError, StopIteration) as error:
        judge.violations.append(f"after {judge.steps[-1:]}: no answer, or one without what belongs in it ({error!r})")
    print("VERDICT " + json.dumps({"ok": not judge.violations, "violations": judge.violations, "steps": judge.steps}), flush=True)
    sys.exit(1 if judge.violations else 0)


if __name__ == "__main__":
    main()
