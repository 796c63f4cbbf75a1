#!/usr/bin/env python3
"""Writes a WAV anew at another sample rate and with one channel or two.   usage: at_rate.py IN.wav OUT.wav RATE CHANNELS

baresip takes its sound from a file of its codec's own rate and channels; its own conversion is no measure for ours."""

import pathlib
import sys
import wave

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from sound import read_wav  # noqa: E402

source, target, rate, channels = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
samples, _ = read_wav(source, rate)
with wave.open(target, "wb") as w:
    w.setnchannels(channels)
    w.setsampwidth(2)
    w.setframerate(rate)
    w.writeframes(np.repeat(samples, channels).astype("<i2").tobytes())
