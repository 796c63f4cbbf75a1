"""Sound for the Python peers: WAV files, mu-law, tones, DTMF, rate conversion. Samples are numpy int16, mono."""

import wave

import numpy as np

DTMF_ROWS = (697, 770, 852, 941)
DTMF_COLUMNS = (1209, 1336, 1477, 1633)
DTMF_KEYS = ("123A", "456B", "789C", "*0#D")


def read_wav(path, rate=None):
    """First channel of a 16-bit WAV as (samples, rate), converted to `rate` when that is given."""
    with wave.open(str(path)) as w:
        if w.getsampwidth() != 2:
            raise ValueError(f"{path}: 16-bit WAV expected")
        x = np.frombuffer(w.readframes(w.getnframes()), "<i2")[:: w.getnchannels()]
        own = w.getframerate()
    return (x, own) if rate in (None, own) else (resample(x, own, rate), rate)


def write_wav(path, samples, rate):
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(np.asarray(samples, "<i2").tobytes())


def to_int16(x):
    return np.clip(np.rint(x), -32768, 32767).astype("<i2")


def resample(samples, rate_in, rate_out):
    """Windowed-sinc conversion of a whole recording; no delay is added."""
    if rate_in == rate_out or len(samples) == 0:
        return np.asarray(samples, "<i2")
    g = np.gcd(rate_in, rate_out)
    up, down = rate_out // g, rate_in // g
    widest = max(up, down)
    half = 24 * widest
    n = np.arange(-half, half + 1)
    taps = np.sinc(n / widest * 0.97) * 0.97 * np.kaiser(2 * half + 1, 8.0) * up / widest
    stuffed = np.zeros(len(samples) * up)
    stuffed[::up] = samples
    size = 1 << int(len(stuffed) + len(taps)).bit_length()
    y = np.fft.irfft(np.fft.rfft(stuffed, size) * np.fft.rfft(taps, size), size)
    return to_int16(y[half : half + len(stuffed) : down])


def _mulaw_table():
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


MULAW = _mulaw_table()


def mulaw_decode(data):
    return MULAW[np.frombuffer(data, np.uint8)]


def mulaw_encode(samples):
    x = np.asarray(samples, np.int32)
    magnitude = np.minimum(np.abs(x), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    code = np.where(x < 0, 0x80, 0) | (exponent << 4) | mantissa
    return (~code & 0xFF).astype(np.uint8).tobytes()


def tone(hertz, ms, rate=8000, level=8000):
    """One or several sines (a number or a tuple), `level` peak each."""
    t = np.arange(rate * ms // 1000) / rate
    parts = hertz if isinstance(hertz, tuple) else (hertz,)
    return to_int16(sum(level * np.sin(2 * np.pi * h * t) for h in parts))


def dtmf_tone(digit, ms=120, rate=8000):
    for row, keys in enumerate(DTMF_KEYS):
        if digit in keys:
            return tone((DTMF_ROWS[row], DTMF_COLUMNS[keys.index(digit)]), ms, rate, 5000)
    raise ValueError(f"not a DTMF digit: {digit!r}")


class DtmfDetector:
    """Finds DTMF digits in an 8 kHz stream: two clear frequencies for at least 40 ms, a pause of 20 ms between digits.

    `push` returns the digits that ended or became certain in these samples; nothing is reported twice."""

    BLOCK, HOP = 160, 80

    def __init__(self):
        hertz = np.array(DTMF_ROWS + DTMF_COLUMNS)
        self._probe = np.exp(-2j * np.pi * hertz[:, None] * np.arange(self.BLOCK) / 8000) * np.hanning(self.BLOCK)
        self._rest = np.zeros(0)
        self._current, self._hits, self._misses = None, 0, 0

    def push(self, samples):
        x = np.concatenate([self._rest, np.asarray(samples, float)])
        found, i = [], 0
        while i + self.BLOCK <= len(x):
            found += self._step(self._judge(x[i : i + self.BLOCK]))
            i += self.HOP
        self._rest = x[i:]
        return found

    def _judge(self, block):
        energy = float((block * block).mean())
        if energy < 2.0e4:
            return None
        # A sine of peak A gives |probe| = A * BLOCK / 4 under the Hann window.
        power = (np.abs(self._probe @ block) * 4 / self.BLOCK) ** 2 / 2
        row, column = int(power[:4].argmax()), int(power[4:].argmax())
        low, high = power[row], power[4 + column]
        rest = power.sum() - low - high
        if min(low, high) < 0.15 * energy or low + high < 0.75 * energy or rest > 0.3 * (low + high):
            return None
        return DTMF_KEYS[row][column]

    def _step(self, digit):
        if digit is not None and digit == self._current:
            self._hits, self._misses = self._hits + 1, 0
            return [digit] if self._hits == 4 else []
        if self._current is not None and digit is None:
            self._misses += 1
            if self._misses >= 3:
                self._current, self._hits = None, 0
            return []
        self._current, self._hits, self._misses = digit, int(digit is not None), 0
        return []


def dtmf_digits(samples, rate=8000):
    """All DTMF digits of a recording, as one string."""
    return "".join(DtmfDetector().push(resample(samples, rate, 8000)))
