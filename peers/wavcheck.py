#!/usr/bin/env python3
"""The audio oracle: was what was said heard, whole and in time?

usage: .venv/bin/python wavcheck.py REF.wav HEARD.wav [--from S] [--to S] [--json]
       [--min-corr 0.99] [--min-good 95] [--max-silent 0.5] [--slack-ms 5]

Both 16-bit WAV at one rate. It finds the delay of HEARD behind REF, then takes HEARD in windows of 0.5 s: a window's correlation is
the best within --slack-ms of that delay. Pass line: median at least --min-corr, --min-good percent of the windows at least
--min-corr - 0.09, and at most --max-silent percent of the 20 ms frames between the first and the last sound silent. It also tells the DTMF digits, the share
of 1 kHz, and how many ms of a pure 1000 and 1500 Hz tone were heard. Exit 0 passed, 1 failed, 2 cannot be judged."""

import argparse
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "python"))
from sound import dtmf_digits, read_wav  # noqa: E402

SILENT_PEAK = 30
QUIET_RMS = 100


def find_delay(ref, heard):
    """Samples by which HEARD lies behind REF: the top of their cross-correlation."""
    size = 1 << int(len(ref) + len(heard) - 1).bit_length()
    cross = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(ref, size).conj(), size)
    top = int(cross.argmax())
    return top if top < len(heard) else top - size


def later(x, samples):
    """x, later by a part of a sample."""
    size = 1 << int(len(x) + 1024).bit_length()
    spectrum = np.fft.rfft(x, size) * np.exp(-2j * np.pi * np.arange(size // 2 + 1) * samples / size)
    return np.fft.irfft(spectrum, size)[: len(x)]


def window_correlations(ref, heard, delay, slack):
    """The best correlation of each window; a delay at 24 kHz may be a third of a sample at 8 kHz."""
    return np.max([whole_correlations(later(ref, third / 3), heard, delay, *slack) for third in (-1, 0, 1)], axis=0)


def whole_correlations(ref, heard, delay, slack, rate):
    """One value per 0.5 s window of HEARD that lies within REF and where REF is not quiet."""
    width = rate // 2
    out = []
    for i in range(max(0, delay), len(heard) - width, width):
        j = i - delay
        if j < 0 or j + width > len(ref) or np.sqrt((ref[j : j + width] ** 2).mean()) < QUIET_RMS:
            continue
        first, last = max(0, j - slack), min(len(ref) - width, j + slack)
        shifted = np.lib.stride_tricks.sliding_window_view(ref[first : last + width], width)
        piece = heard[i : i + width]
        norms = np.linalg.norm(shifted, axis=1) * np.linalg.norm(piece)
        scores = np.divide(shifted @ piece, norms, out=np.zeros(len(norms)), where=norms > 0)
        out.append(max(0.0, float(scores.max())))
    return np.array(out)


def silent_percent(heard, rate):
    """Share of silent 20 ms frames between the first and the last sound, in percent."""
    frame = rate // 50
    peaks = np.abs(heard[: len(heard) // frame * frame].reshape(-1, frame)).max(axis=1)
    sound = np.flatnonzero(peaks >= SILENT_PEAK)
    return 100.0 if len(sound) == 0 else 100.0 * float((peaks[sound[0] : sound[-1] + 1] < SILENT_PEAK).mean())


def sine_share(x, hertz, rate):
    """Part of the energy of x that lies in one sine."""
    energy = float(x @ x)
    return float(2 * abs(x @ np.exp(-2j * np.pi * hertz * np.arange(len(x)) / rate)) ** 2 / len(x) / (energy + 1))


def tone_ms(heard, hertz, rate):
    """Milliseconds (in steps of 20) during which HEARD was one pure tone."""
    frame = rate // 50
    frames = heard[: len(heard) // frame * frame].reshape(-1, frame)
    return 20 * sum(1 for f in frames if f @ f > frame * QUIET_RMS**2 and sine_share(f, hertz, rate) > 0.8)


def judge(ref, heard, rate, min_corr=0.99, min_good=95, max_silent=0.5, slack_ms=5):
    """The whole judgement of two float arrays of one rate, as a dict; `ok` is the pass line."""
    delay = find_delay(ref, heard)
    corr = window_correlations(ref, heard, delay, (rate * slack_ms // 1000, rate))
    median = float(np.median(corr)) if len(corr) else 0.0
    good = float((corr >= min_corr - 0.09).mean()) if len(corr) else 0.0
    silent = silent_percent(heard, rate)
    return {
        "ok": bool(len(corr) and median >= min_corr and 100 * good >= min_good and silent <= max_silent),
        "delay_ms": round(delay * 1000 / rate, 1), "windows": len(corr), "good_percent": round(100 * good, 1),
        "median_corr": round(median, 4), "silent_percent": round(silent, 2), "tone_1k_share": round(sine_share(heard, 1000, rate), 4),
        "tone_ms": {"1000": tone_ms(heard, 1000, rate), "1500": tone_ms(heard, 1500, rate)},
        "digits": dtmf_digits(heard.astype("<i2"), rate), "heard_s": round(len(heard) / rate, 2),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("ref")
    p.add_argument("heard")
    p.add_argument("--from", dest="start", type=float, default=0, help="judge HEARD from this second on")
    p.add_argument("--to", type=float, help="judge HEARD up to this second")
    p.add_argument("--min-corr", type=float, default=0.99)
    p.add_argument("--min-good", type=float, default=95, help="percent")
    p.add_argument("--max-silent", type=float, default=0.5, help="percent")
    p.add_argument("--slack-ms", type=int, default=5)
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    ref, rate = read_wav(a.ref)
    heard, _ = read_wav(a.heard, rate)
    heard = heard[int(a.start * rate) : None if a.to is None else int(a.to * rate)]
    if len(heard) < rate:
        print(f"only {len(heard) / rate:.2f} s heard", file=sys.stderr)
        sys.exit(2)
    result = judge(ref.astype(float), heard.astype(float), rate, a.min_corr, a.min_good, a.max_silent, a.slack_ms)
    if a.json:
        print(json.dumps(result))
    else:
        print("{verdict}: delay {delay_ms} ms, windows {windows}, good {good_percent} %, median corr {median_corr}, silent {silent_percent} %, "
              "1 kHz share {tone_1k_share}, digits '{digits}', tone ms {tone_ms}".format(verdict="ok" if result["ok"] else "FAILED", **result))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
