#!/usr/bin/env python3
"""A headless baresip phone on 127.0.0.1: dials TARGET, plays a WAV, records what it hears, types digits (RFC 4733).

usage: baresip.py sip:echo@127.0.0.1:5060 [--play WAV] [--record OUT.wav] [--seconds 10] [--digits 512@2s] [--hold 3s+2s] [--transfer URI@3s]
       [--codec PCMU|PCMA|G722|opus] [--srtp offered|needed] [--tls CA.pem] [--ipv6] [--hangup-by us|them] [--from 100] [--workdir DIR]
       baresip.py sip:echo@HOST:PORT --from 101 --registrar HOST:PORT --password P [--transport tcp]      registers, then dials
       baresip.py wait --from 101 --registrar HOST:PORT --password P [--ring-seconds 35] [--answer-after 2]  registers and takes one call

Prints JSON lines: {"event": "registered"|"refused"|"incoming"|"dialling"|"ringing"|"established"|"digit"|"closed"|…, "ms": since the dial, "unix_ms"} and, last, a summary
{"event": "summary", "ok": …}. Exit 0 when the call was established and ended as asked, 1 otherwise, 2 when baresip is not usable.
Ports are looked for at the start (SIP takes two in a row, UDP and TCP); nothing but the baresip of this run is ever stopped."""

import argparse
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MODULE_PATHS = ("/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules")
HERE = pathlib.Path(__file__).resolve().parent


CODECS = {"PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1", "G722": "G722/16000/1", "opus": "opus/48000/2"}
WIDE = {"G722": (16000, 1), "opus": (48000, 2)}
SRTP = {"offered": "srtp", "needed": "srtp-mand"}
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def free_run(count, low, high, family=socket.AF_INET):
    """First port of `count` in a row that are free on UDP and TCP; starts at a place of this process's own."""
    start = low + os.getpid() * 37 % (high - low)
    for i in range(0, high - low, 2):
        base = low + (start - low + i) % (high - low - count)
        base -= base % 2
        taken = []
        try:
            for port in range(base, base + count):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    s = socket.socket(family, kind)
                    taken.append(s)
                    s.bind((LOOPBACK[family], port))
            return base
        except OSError:
            continue
        finally:
            for s in taken:
                s.close()
    sys.exit("no free ports")


def write_config(work, args, modules):
    family = socket.AF_INET6 if args.ipv6 else socket.AF_INET
    sip, rtp, control = free_run(2, 20000, 26000, family), free_run(8, 40000, 60000, family), free_run(1, 26000, 30000)
    host = f"[{LOOPBACK[family]}]" if args.ipv6 else LOOPBACK[family]
    transport = ";transport=tls" if args.tls else f";transport={args.transport}" if args.transport else ""
    mediaenc = f";mediaenc={SRTP[args.srtp]}" if args.srtp else ""
    (work / "rec").mkdir(parents=True, exist_ok=True)
    play, channels = args.play, 1
    if args.codec in WIDE:
        # Its sound has to have the codec's own rate and channels.
        play, (rate, channels) = work / "play.wav", WIDE[args.codec]
        subprocess.run([HERE / ".venv/bin/python", HERE / "tools/at_rate.py", args.play, play, str(rate), str(channels)], check=True)
    (work / "config").write_text("\n".join([
        "poll_method epoll", f"sip_listen {host}:{sip}", f"net_interface {LOOPBACK[family]}", f"rtp_ports {rtp}-{rtp + 7}", "rtp_stats yes",
        f"audio_source aufile,{play}", f"audio_player aufile,{work / 'player.wav'}", "audio_alert aufile,/dev/null",
        f"audio_channels {channels}-{channels}", "audio_srate 8000-48000", "opus_bitrate 64000", "jitter_buffer_delay 2-10", f"module_path {modules}",
        "module g711.so", "module g722.so", "module opus.so", "module srtp.so", "module aufile.so", "module sndfile.so", "module_tmp uuid.so", "module_tmp account.so",
        "module_app menu.so", "module_app ctrl_tcp.so", f"ctrl_tcp_listen 127.0.0.1:{control}", f"snd_path {work / 'rec'}",
        *([f"sip_cafile {args.tls}"] if args.tls else []), ""]))
    home = args.registrar or f"{host}:{sip}"
    register = f";auth_user={args.caller};auth_pass={args.password};regint=60" if args.registrar else ";regint=0"
    account = f"<sip:{args.caller}@{home}{transport}>{register};audio_codecs={CODECS[args.codec]}{mediaenc}"
    # An account that registers is made once its events are listened to.
    (work / "accounts").write_text("" if args.registrar else f"{account}\n")
    (work / "contacts").write_text("")
    return control, account


class Control:
    """baresip's ctrl_tcp: netstrings of JSON. Events come out of `events`."""

    def __init__(self, port, process, patience=10):
        deadline = time.monotonic() + patience
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", port), timeout=1)
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        self.sock.settimeout(None)
        self.events = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        buffer = b""
        try:
            while chunk := self.sock.recv(65536):
                buffer += chunk
                while b":" in buffer:
                    size, _, rest = buffer.partition(b":")
                    if len(rest) < int(size) + 1:
                        break
                    self.events.put(json.loads(rest[: int(size)].decode("utf-8", "replace")))
                    buffer = rest[int(size) + 1 :]
        except (OSError, ValueError):
            pass
        self.events.put({"type": "CONTROL_LOST"})

    def command(self, name, params=""):
        body = json.dumps({"command": name, "params": params, "token": name}).encode()
        self.sock.sendall(b"%d:%b," % (len(body), body))


class Phone:
    """One call: commands by time, events by baresip, JSON lines out."""

    EVENTS = {"REGISTER_OK": "registered", "REGISTER_FAIL": "refused", "CALL_INCOMING": "incoming", "CALL_RINGING": "ringing", "CALL_PROGRESS": "progress", "CALL_ANSWERED": "answered", "CALL_ESTABLISHED": "established", "CALL_CLOSED": "closed"}

    def __init__(self, args, account, control, process):
        self.args, self.account, self.control, self.process = args, account, control, process
        self.t0 = time.monotonic()
        self.ended, self.digits_heard = {}, ""

    def tell(self, event, **more):
        print(json.dumps({"event": event, "ms": round((time.monotonic() - self.t0) * 1000), "unix_ms": round(time.time() * 1000), **more}), flush=True)

    def wait(self, want, seconds):
        """Passes events on until one of the kinds `want`, or None after `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self.control.events.get(timeout=left)
            except queue.Empty:
                return None
            kind = event.get("type", "")
            if kind in self.EVENTS:
                self.tell(self.EVENTS[kind], **({"why": event["param"]} if event.get("param") else {}))
            elif kind == "CALL_DTMF_START":
                self.digits_heard += event.get("param", "")
                self.tell("digit_heard", digit=event.get("param", ""))
            if kind == "CALL_CLOSED":
                self.ended = {"why": event.get("param", "")}
            if kind in want or kind == "CONTROL_LOST":
                return kind
        return None

    def steps(self):
        """(second, command, parameter) of all that is done within the call."""
        out = []
        digits, _, at = (self.args.digits or "").partition("@")
        out += [(float(at.rstrip("s") or 2) + 0.4 * i, "sndcode", d) for i, d in enumerate(digits)]
        if self.args.transfer:
            uri, _, at = self.args.transfer.rpartition("@")
            out.append((float(at.rstrip("s")), "transfer", uri))
        for hold in filter(None, (self.args.hold or "").split(",")):
            at, _, length = hold.replace("s", "").partition("+")
            out += [(float(at), "hold", ""), (float(at) + float(length or 2), "resume", "")]
        return sorted(out)

    def register(self):
        """Whether the registrar took us in; after a refusal baresip tries again by itself, so the first word counts."""
        self.control.command("uanew", self.account)
        return self.wait({"REGISTER_OK", "REGISTER_FAIL"}, 10) == "REGISTER_OK"

    def take(self):
        """Takes the call that comes, after a while if asked to."""
        if self.wait({"CALL_INCOMING"}, self.args.ring_seconds) != "CALL_INCOMING":
            return False
        if self.wait({"CALL_CLOSED"}, self.args.answer_after) == "CALL_CLOSED":
            return False
        self.control.command("accept")
        return self.wait({"CALL_ESTABLISHED", "CALL_CLOSED"}, 10) == "CALL_ESTABLISHED"

    def dial(self):
        self.control.command("dial", self.args.target)
        self.tell("dialling", target=self.args.target)
        return self.wait({"CALL_ESTABLISHED", "CALL_CLOSED"}, self.args.ring_seconds) == "CALL_ESTABLISHED"

    def run(self):
        args = self.args
        if args.registrar and not self.register():
            return {"ok": False, "registered": False, "established": False}
        established = self.take() if args.target == "wait" else self.dial()
        by_them = False
        if established:
            begin = time.monotonic()
            for at, name, param in [*self.steps(), (args.seconds, "hangup", "")]:
                if by_them := self.wait({"CALL_CLOSED"}, begin + at - time.monotonic()) is not None:
                    break
                if name == "sndcode":
                    self.tell("digit")
                elif name != "hangup":
                    self.tell(name)
                self.control.command(name, param)
            if not by_them:
                self.wait({"CALL_CLOSED"}, 3)
        elif not self.ended:
            self.control.command("hangup")
            self.wait({"CALL_CLOSED"}, 2)
        good = established and by_them == (args.hangup_by == "them")
        return {"ok": good, "established": established, "closed_by": "them" if by_them else "us", "digits_heard": self.digits_heard, **self.ended}


def packets(log):
    """RTP packets (sent, heard) of the call, as baresip tells them at its end."""
    found = re.findall(r"packets:\s+(\d+)\s+(\d+)", log.read_text(errors="replace"))
    return [int(n) for n in found[-1]] if found else None


def heard_wav(work, record):
    """Copies the decoded side of baresip's recording; None when nothing was heard."""
    dumps = sorted((work / "rec").glob("dump-*-dec.wav"), key=lambda p: p.stat().st_size)
    if not dumps or dumps[-1].stat().st_size <= 44:
        return None
    shutil.copyfile(dumps[-1], record)
    return str(record)


def stop(process, control):
    """Ends our own baresip: politely, then by its pid."""
    try:
        control.command("quit")
        process.wait(3)
    except (OSError, AttributeError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("target")
    p.add_argument("--play", type=pathlib.Path, default=HERE / "sounds/aperiodic.wav", help="at least as long as the call")
    p.add_argument("--record", type=pathlib.Path)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--ring-seconds", type=float, default=35)
    p.add_argument("--digits", help="512@2s")
    p.add_argument("--hold", help="3s+2s,9s+2s: hold after 3 s, resume 2 s later, and again; each resumption begins a new recording in WORKDIR/rec")
    p.add_argument("--transfer", metavar="URI@3s", help="after 3 s gives the call to URI by REFER")
    p.add_argument("--codec", choices=tuple(CODECS), default="PCMU")
    p.add_argument("--srtp", choices=tuple(SRTP), help="offers SDES keys; needed: refuses a session without")
    p.add_argument("--tls", type=pathlib.Path, metavar="CA.pem", help="SIP over TLS; dial sip:NAME@HOST:PORT;transport=tls")
    p.add_argument("--ipv6", action="store_true", help="on [::1] alone")
    p.add_argument("--hangup-by", choices=("us", "them"), default="us")
    p.add_argument("--from", dest="caller", default="alice")
    p.add_argument("--registrar", metavar="HOST:PORT", help="registers there as --from with --password")
    p.add_argument("--password", default="")
    p.add_argument("--transport", choices=("udp", "tcp"), help="how SIP travels to the registrar")
    p.add_argument("--answer-after", type=float, default=0, help="seconds that a call rings which is waited for")
    p.add_argument("--workdir", type=pathlib.Path, help="keep baresip's files here")
    args = p.parse_args()
    args.play = args.play.resolve()
    modules = next((m for m in MODULE_PATHS if os.path.isdir(m)), None)
    if not (shutil.which("baresip") and modules and args.play.is_file()):
        print("baresip with its modules, and the WAV to play, are needed", file=sys.stderr)
        sys.exit(2)
    work = (args.workdir or pathlib.Path(tempfile.mkdtemp(prefix="baresip-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    control_port, account = write_config(work, args, modules)
    control = None
    with open(work / "log", "w") as log:
        process = subprocess.Popen(["baresip", "-6" if args.ipv6 else "-4", "-f", str(work)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            control = Control(control_port, process)
            summary = Phone(args, account, control, process).run()
        except OSError as e:
            print(f"baresip did not start: {e}; its log:\n{(work / 'log').read_text()[-2000:]}", file=sys.stderr)
            sys.exit(2)
        finally:
            stop(process, control)
    summary["packets"] = packets(work / "log")
    if args.record:
        summary["record"] = heard_wav(work, args.record)
    print(json.dumps({"event": "summary", **summary}), flush=True)
    if not args.workdir:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if summary["ok"] else 1)


if __name__ == "__main__":
    main()
