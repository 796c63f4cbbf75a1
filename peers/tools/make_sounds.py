#!/usr/bin/env python3
"""Makes sounds/aperiodic.wav (40 s, what callers say in tests) and sounds/aperiodic10s.ulaw (its first 10 s, for sipp).

usage: .venv/bin/python tools/make_sounds.py                     The result is kept in the repository; this script says where it came from.
       .venv/bin/python tools/make_sounds.py 1300 long.wav       Such a sound of 1300 s, for a long call.
The signal is noise in the speech band under a wandering loudness: it never repeats (a repeating reference gives false delays),
never falls silent (so every silent frame is the gateway's), and holds no tone (so tones are the test's)."""

import pathlib
import random
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "python"))
from sound import mulaw_encode, to_int16, write_wav  # noqa: E402

RATE, SECONDS = 8000, 40


def speech_band_noise(rng, count):
    x = np.array([rng.random() - 0.5 for _ in range(count)])
    spectrum = np.fft.rfft(x)
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    # Flat from 300 to 900 Hz, then falling as speech does; nothing beyond 3.2 kHz, where converters differ.
    gain = np.where((hertz >= 300) & (hertz <= 3200), np.minimum(1, (900 / np.maximum(hertz, 1)) ** 1.2), 0)
    return np.fft.irfft(spectrum * gain, count)


def loudness(rng, count):
    """Syllables: a new level every 80 to 250 ms, joined by straight lines, never below a third."""
    at, level = [0], [1.0]
    while at[-1] < count:
        at.append(at[-1] + rng.randint(RATE * 80 // 1000, RATE * 250 // 1000))
        level.append(0.33 + 0.67 * rng.random())
    return np.interp(np.arange(count), at, level)


def sound(seconds):
    rng = random.Random(20260101)
    count = RATE * seconds
    x = speech_band_noise(rng, count) * loudness(rng, count)
    return to_int16(x / np.sqrt((x * x).mean()) * 2600)


def main():
    if len(sys.argv) == 3:
        write_wav(sys.argv[2], sound(int(sys.argv[1])), RATE)
        return
    samples = sound(SECONDS)
    (HERE / "sounds").mkdir(exist_ok=True)
    write_wav(HERE / "sounds/aperiodic.wav", samples, RATE)
    (HERE / "sounds/aperiodic10s.ulaw").write_bytes(mulaw_encode(samples[: RATE * 10]))
    quietest = np.abs(samples.reshape(-1, RATE // 50).astype(int)).max(1).min()
    print(f"{SECONDS} s, peak {np.abs(samples.astype(int)).max()}, quietest 20 ms frame peaks at {quietest}")


if __name__ == "__main__":
    main()
