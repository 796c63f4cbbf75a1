"""The faults of the self-test: what a wrong gateway does, and the violation that a peer must find then (a regular expression).

A fault is a flag of fake_gateway.py, a function `fault(kind, n, message)`, or a factory of one (`half_renumbered`, which counts)."""


def at(kind, nth, change):
    """Changes the nth message of a kind (nth None: all of them)."""
    return lambda k, n, m: change(m) if k == kind and nth in (None, n) else m


def put(kind, nth, path, value):
    """Sets the value at a dotted path; a function is called with the old value; DELETE removes the key."""

    def change(m):
        *way, last = path.split(".")
        inner = m
        for key in way:
            inner = inner[key]
        if value is DELETE:
            del inner[last]
        else:
            inner[last] = value(inner.get(last)) if callable(value) else value
        return m

    return at(kind, nth, change)


DELETE = object()


def gone(message):
    return None


def twice(message):
    return [message, message]


def crash(message):
    raise RuntimeError("the gateway dies here, on purpose")


def half(kind):
    """Every second message of a kind is lost."""
    return lambda k, n, m: None if k == kind and n % 2 else m


def half_renumbered():
    """Half of the audio is lost and what is left is numbered as if nothing had been."""
    state = {"lost": 0}

    def fault(kind, n, m):
        if kind == "media" and n % 2 == 0:
            state["lost"] += 1
            return None
        if "sequence_number" in m:
            m["sequence_number"] -= state["lost"]
        if kind == "media":
            m["media"]["chunk"] -= state["lost"]
            m["media"]["timestamp"] = str((m["media"]["chunk"] - 1) * 20)
        return m

    return fault


BOT_FAULTS = {
    "ivr-solutions": [
        ("connected missing", at("connected", 1, gone), r"before connected"),
        ("connected with more", put("connected", 1, "protocol", "x"), r"connected: unknown key"),
        ("account_sid missing", put("start", 1, "start.account_sid", DELETE), r"account_sid.* missing"),
        ("start twice", at("start", 1, twice), r"a second start"),
        ("sample_rate as text", put("start", 1, "start.media_format.sample_rate", "8000"), r"sample_rate: expected an integer"),
        ("wrong sequence_number", put("media", 10, "sequence_number", lambda v: v + 1), r"sequence_number: expected"),
        ("sequence_number as text", put("media", 10, "sequence_number", str), r"sequence_number: expected"),
        ("clear with sequence_number", put("clear", 1, "sequence_number", 9), r"clear: unknown key"),
        ("chunk from 0", put("media", None, "media.chunk", lambda v: v - 1), r"chunk: expected"),
        ("numeric timestamp", put("media", 5, "media.timestamp", int), r"timestamp: expected"),
        ("timestamp of the end", put("media", None, "media.timestamp", lambda v: str(int(v) + 20)), r"timestamp: expected"),
        ("audio frame dropped", at("media", 30, gone), r"chunk: expected"),
        ("audio frame doubled", at("media", 30, twice), r"chunk: expected"),
        ("audio not base64", put("media", 9, "media.payload", "!!"), r"base64"),
        ("short audio frame", put("media", 9, "media.payload", "AAAA"), r"expected 20 ms"),
        ("digit as number", put("dtmf", 1, "dtmf.digit", int), r"dtmf.digit: expected"),
        ("duration as number", put("dtmf", 1, "dtmf.duration", int), r"dtmf.duration: expected"),
        ("digit lost", at("dtmf", 2, gone), r"512 did not arrive|sequence_number"),
        ("digit doubled", at("dtmf", 2, twice), r"512 did not arrive|sequence_number"),
        ("marks before their audio", "marks at once", r"m1 came .* before they were played"),
        ("marks late", "marks late", r"long after they were played"),
        ("mark twice", at("mark", 1, twice), r"came twice"),
        ("mark lost", at("mark", 1, gone), r"m1 was not answered|not finished"),
        ("marks out of order", "marks out of order", r"out of order"),
        ("clear not honoured", "clear not honoured", r"not returned after the clear|clear was not told"),
        ("clear not told", "clear not told", r"clear was not told"),
        ("clear before its marks", "clear before its marks", r"clear before the marks"),
        ("stop missing", at("stop", 1, gone), r"stop is missing"),
        ("stop twice", at("stop", 1, twice), r"after the stop"),
        ("another reason", put("stop", 1, "stop.reason", "bye"), r"stop.reason"),
        ("another call_sid", put("stop", 1, "stop.call_sid", "call_1707204900000_a1b2c3d4e5f6a7b8"), r"call_sid differs"),
        ("another stream_sid", put("media", 7, "stream_sid", "1.2"), r"stream_sid differs"),
        ("no close", "never closes", r"close frame"),
        ("audio lost and numbered over", half_renumbered, r"pace:"),
        ("unknown event", at("media", 3, lambda m: [m, {"event": "hello"}]), r"unknown event"),
    ],
    "incoming-call": [
        ("sessionId missing", put("incoming_call", 1, "sessionId", DELETE), r"sessionId.* missing"),
        ("didNumber as number", put("incoming_call", 1, "didNumber", int), r"didNumber: expected"),
        ("incoming_call twice", at("incoming_call", 1, twice), r"a second incoming_call"),
        ("audio before the answer", "audio before the answer", r"audio before the answer"),
        ("odd audio", at("audio", 5, lambda m: m[:-1]), r"odd audio"),
        ("short audio", at("audio", 5, lambda m: m[:160]), r"expected 20 ms"),
        ("audio as text", at("audio", 5, lambda m: {"event": "audio"}), r"unknown event"),
        ("half the audio", half("audio"), r"pace:"),
        ("digit as number", put("dtmf", 1, "digit", int), r"dtmf.digit: expected"),
        ("digit with duration", put("dtmf", 1, "duration", 100), r"dtmf: unknown key"),
        ("hangup missing", at("hangup", 1, gone), r"without a hangup"),
        ("cdr missing", at("cdr", 1, gone), r"cdr is missing"),
        ("cdr before the hangup", "hangup after the cdr", r"hangup after the cdr|second hangup"),
        ("audio after the hangup", "audio after the hangup", r"audio after the end"),
        ("cause as number", put("cdr", 1, "hangupCauseCode", 16), r"hangupCauseCode: expected"),
        ("duration as text", put("cdr", 1, "duration", "3"), r"cdr.duration: expected"),
        ("wrong duration", put("cdr", 1, "duration", 30), r"cdr.duration 30"),
        ("time without zone", put("cdr", 1, "endTime", lambda v: v[:-1]), r"endTime: expected"),
        ("never answered", put("cdr", 1, "answerTime", ""), r"answerTime"),
        ("another session", put("cdr", 1, "sessionId", "x"), r"sessionId differs"),
        ("no close", "never closes", r"close frame"),
    ],
    "smartpbx": [
        ("accountId missing", put("start", 1, "start.accountId", DELETE), r"accountId.* missing"),
        ("number without +", put("start", 1, "start.callerIdNumber", "9876543210"), r"callerIdNumber: expected"),
        ("otherLegCallId empty", put("start", 1, "start.otherLegCallId", ""), r"otherLegCallId: expected"),
        ("rate of another encoding", put("start", 1, "start.mediaFormat.sampleRate", 16000), r"mediaFormat"),
        ("media with more keys", put("media", 4, "media.chunk", 4), r"unknown key"),
        ("half a sample", put("media", 4, "media.payload", "AAAA"), r"half a sample|expected 20 ms"),
        ("not canonical base64", put("media", 4, "media.payload", lambda v: v.rstrip("=") + "===="), r"canonical"),
        ("half the audio", half("media"), r"pace:"),
        ("digit as number", put("dtmf", 2, "dtmf.digit", int), r"dtmf.digit: expected"),
        ("duration as text", put("dtmf", 2, "dtmf.duration", "100"), r"dtmf.duration: expected"),
        ("dtmf of another call", put("dtmf", 2, "dtmf.callId", "call_1707204900000_a1b2c3d4e5f6a7b8"), r"callId differs"),
        ("hangup missing", at("hangup", 1, gone), r"hangup is missing"),
        ("reason missing", put("hangup", 1, "hangup.reason", DELETE), r"reason.* missing"),
        ("another reason", put("hangup", 1, "hangup.reason", "BYE"), r"hangup.reason"),
        ("media after the hangup", at("hangup", 1, lambda m: [m, {"event": "media", "media": {"payload": "AAAA"}}]), r"media after the hangup"),
        ("binary audio", at("media", 3, lambda m: bytes(960)), r"binary message"),
        ("clear", at("media", 3, lambda m: [m, {"event": "clear"}]), r"unknown event"),
        ("no close", "never closes", r"close frame"),
    ],
    "ozonetel": [
        ("ucid missing", put("start", 1, "ucid", DELETE), r"ucid.* missing"),
        ("type missing", put("media", 8, "type", DELETE), r"type.* missing"),
        ("20 ms frames", put("media", 8, "data.numberOfFrames", 160), r"numberOfFrames: expected"),
        ("79 samples", put("media", 8, "data.samples", lambda v: v[:79]), r"expected 10 ms"),
        ("rate as text", put("media", 8, "data.sampleRate", "8000"), r"sampleRate: expected"),
        ("sample out of range", put("media", 8, "data.samples", lambda v: [40000, *v[1:]]), r"16-bit"),
        ("float samples", put("media", 8, "data.samples", lambda v: [0.5, *v[1:]]), r"16-bit"),
        ("another ucid", put("media", 8, "ucid", "x"), r"ucid differs"),
        ("half the audio", half("media"), r"pace:"),
        ("digits lost", "digits lost", r"512 did not arrive"),
        ("media after the stop", at("stop", 1, lambda m: [m, {"event": "media", "type": "media", "ucid": m["ucid"], "data": {}}]), r"media after the stop"),
        ("stop missing", at("stop", 1, gone), r"stop is missing"),
    ],
}


VENDOR_FAULTS = {
    "ivr-solutions": [
        ("not JSON", at("audio", 9, lambda m: "hello"), r"not JSON"),
        ("unknown type", at("audio", 9, lambda m: [m, {"type": "session.bye"}]), r"unknown message"),
        ("event instead of type", at("audio", 9, lambda m: {"event": "media", "media": {"payload": "AAAA"}}), r"unknown message"),
        ("delta not base64", at("audio", 9, lambda m: {"type": "response.audio.delta", "delta": "@@"}), r"base64"),
        ("half a sample", at("audio", 9, lambda m: m[:-1]), r"binary audio of 319"),
        ("digits as a list", put("dtmf", 1, "dtmf", ["7"]), r"dtmf: expected"),
        ("clear with more", put("clear", 1, "stream_sid", "1.2"), r"unknown key"),
        ("mark of another stream", put("mark", 1, "stream_sid", "1.2"), r"stream_sid: expected"),
        ("two transfers", at("dtmf", 1, lambda m: [{"type": "session.transfer", "destination": "1"}] * 2), r"a second transfer"),
        ("a hang-up nobody asked for", at("dtmf", 1, lambda m: {"type": "session.hangup"}), r"not expected"),
        ("closes too early", at("audio", 20, crash), r"closed in the middle|ended with 1011"),
    ],
    "incoming-call": [
        ("no answer", at("answer", 1, gone), r"answered"),
        ("answer twice", at("answer", 1, twice), r"a second answer"),
        ("answer with more", put("answer", 1, "sessionId", "x"), r"unknown key"),
        ("audio before the answer", "audio before the answer", r"audio before the answer"),
        ("half a sample", at("audio", 9, lambda m: m[:-1]), r"binary audio of 319"),
        ("digit A", put("dtmf", 1, "digit", "A"), r"dtmf.digit: expected"),
        ("digit too long", put("dtmf", 1, "duration", 1001), r"dtmf.duration: expected"),
        ("digit without duration", put("dtmf", 1, "duration", DELETE), r"duration.* missing"),
        ("unknown event", at("dtmf", 1, lambda m: {"event": "cdr"}), r"unknown event"),
    ],
    "smartpbx": [
        ("clear", at("media", 9, lambda m: [m, {"event": "clear"}]), r"unknown message"),
        ("hangup message", at("media", 9, lambda m: [m, {"event": "hangup"}]), r"unknown message"),
        ("more keys", put("media", 9, "callId", "x"), r"unknown key"),
        ("not canonical base64", put("media", 9, "media.payload", lambda v: v[:-2]), r"base64"),
        ("odd bytes", put("media", 9, "media.payload", "AAAA"), r"half a sample"),
        ("binary audio", at("media", 9, lambda m: bytes(960)), r"binary message"),
        ("closes with 1011", at("media", 20, crash), r"closed in the middle|ended with 1011"),
    ],
    "ozonetel": [
        ("another ucid", put("media", 9, "ucid", "x"), r"ucid: expected"),
        ("81 samples", put("media", 9, "data.samples", lambda v: [*v, 0]), r"80 16-bit"),
        ("float samples", put("media", 9, "data.samples", lambda v: [0.5, *v[1:]]), r"80 16-bit"),
        ("rate as text", put("media", 9, "data.sampleRate", "8000"), r"sampleRate: expected"),
        ("type missing", put("media", 9, "type", DELETE), r"type.* missing"),
        ("unknown command", put("command", 1, "command", "hangup"), r"command: expected"),
        ("never closes after the stop", "never closes", r"did not close"),
        ("closes with 1011", "closes with 1011", r"ended with 1011"),
    ],
}
