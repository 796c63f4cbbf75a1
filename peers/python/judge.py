"""The judge of one call in the Python peers: a log, violations, audio statistics, and the VERDICT line at the end."""

import base64
import binascii
import json
import re
import time


class Judge:
    """Collects what one call did. `violation` never raises: a call is judged to its end."""

    def __init__(self, role, dialect, log=None):
        self.role, self.dialect, self._log = role, dialect, log
        self.t0 = time.monotonic()
        self.violations, self.digits, self.marks, self.end = [], [], [], {}
        self.start = None
        self.clears = self.audio_bytes = self.audio_samples = 0
        self.rate = 8000
        self._audio_since = self._first_audio = self._last_audio = None
        self.gap_ms_max = 0.0
        self.extra = {}

    def ms(self):
        return (time.monotonic() - self.t0) * 1000

    def note(self, direction, what):
        if self._log:
            row = {"ms": round(self.ms(), 1), "dir": direction, "what": what}
            self._log.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._log.flush()

    def violation(self, text):
        self.note("violation", text)
        if len(self.violations) < 50:
            self.violations.append(text)

    def expect(self, good, text):
        if not good:
            self.violation(text)
        return bool(good)

    def count_audio_from_now(self):
        """first_audio_ms counts from here (the start message, or the answer)."""
        self._audio_since = time.monotonic()

    def audio(self, nbytes, samples):
        now = time.monotonic()
        if self._first_audio is None:
            self._first_audio = now
        elif now - self._last_audio > self.gap_ms_max / 1000:
            self.gap_ms_max = (now - self._last_audio) * 1000
        self._last_audio = now
        self.audio_bytes += nbytes
        self.audio_samples += samples

    @property
    def audio_ms(self):
        return self.audio_samples * 1000 / self.rate

    def check_pace(self, tolerance_ms):
        """Caller audio is continuous: as much of it as time went by between its first and its last message."""
        if self._first_audio is None or tolerance_ms <= 0:
            return
        late = (self._last_audio - self._first_audio) * 1000 - self.audio_ms
        self.expect(abs(late) <= tolerance_ms, f"pace: {self.audio_ms:.0f} ms of audio came, real time differs by {late:.0f} ms")

    def verdict(self):
        first = None
        if self._first_audio is not None and self._audio_since is not None:
            first = round((self._first_audio - self._audio_since) * 1000, 1)
        return {
            "dialect": self.dialect, "role": self.role, "ok": not self.violations, "violations": self.violations,
            "start": self.start, "digits": "".join(self.digits), "marks": self.marks, "clears": self.clears, "end": self.end,
            "audio_bytes": self.audio_bytes, "audio_ms": round(self.audio_ms), "first_audio_ms": first,
            "gap_ms_max": round(self.gap_ms_max, 1), "call_ms": round(self.ms()), **self.extra,
        }


# --- shapes: a dict of key -> check ("key?" is optional); a check returns None or what was expected ---


def const(value):
    return lambda v: None if type(v) is type(value) and v == value else f"expected {value!r}"


def text(pattern=r".+"):
    compiled = re.compile(pattern, re.DOTALL)
    return lambda v: None if isinstance(v, str) and compiled.fullmatch(v) else f"expected a string like {pattern}"


def integer(low=None, high=None):
    def check(v):
        good = isinstance(v, int) and not isinstance(v, bool) and (low is None or v >= low) and (high is None or v <= high)
        return None if good else f"expected an integer in {low}..{high}"

    return check


def any_of(*checks):
    return lambda v: None if any(c(v) is None for c in checks) else "expected " + " or ".join(c(v)[9:] for c in checks)


def shape(judge, name, value, spec):
    """Judges `value` against `spec`: exact keys, exact types. True when nothing was wrong."""
    if not isinstance(value, dict):
        return judge.expect(False, f"{name}: expected an object")
    good = True
    known = {k.rstrip("?"): (check, k.endswith("?")) for k, check in spec.items()}
    for key in value.keys() - known.keys():
        good = judge.expect(False, f"{name}: unknown key {key!r}")
    for key, (check, optional) in known.items():
        if key not in value:
            good = judge.expect(optional, f"{name}: key {key!r} is missing") and good
        elif isinstance(check, dict):
            good = shape(judge, f"{name}.{key}", value[key], check) and good
        elif (wrong := check(value[key])) is not None:
            good = judge.expect(False, f"{name}.{key}: {wrong}, was {short(value[key])}")
    return good


def short(value):
    s = json.dumps(value, ensure_ascii=False)
    return s if len(s) <= 60 else s[:57] + "..."


def parse_object(judge, message):
    """The JSON object in a text message, or None (a violation) for anything else."""
    try:
        value = json.loads(message)
    except ValueError:
        return judge.violation(f"not JSON: {message[:60]!r}")
    return value if isinstance(value, dict) else judge.violation(f"not a JSON object: {short(value)}")


def audio_payload(judge, name, value):
    """Bytes of a canonical base64 string; empty (a violation) for anything else."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        judge.violation(f"{name}: not base64")
        return b""
    judge.expect(base64.b64encode(data).decode() == value, f"{name}: base64 is not canonical")
    judge.expect(len(data) > 0, f"{name}: no audio in it")
    return data
