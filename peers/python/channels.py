#!/usr/bin/env python3
"""Writes each channel of a recording (anything FFmpeg reads) to a WAV file of its own, 16 bits at 8 kHz.

usage: channels.py RECORDING LEFT.wav RIGHT.wav
"""
import sys
import wave

import av
import numpy


def main() -> None:
    recording, *sides = sys.argv[1:]
    pieces = []
    with av.open(recording) as container:
        if container.streams.audio[0].codec_context.layout.nb_channels != len(sides):
            sys.exit(f"{recording} has not {len(sides)} channels")
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=8000)
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray().reshape(-1) for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray().reshape(-1) for piece in resampler.resample(None)]
    samples = numpy.concatenate(pieces).reshape(-1, 2)
    for channel, path in enumerate(sides):
        with wave.open(path, "wb") as side:
            side.setnchannels(1)
            side.setsampwidth(2)
            side.setframerate(8000)
            side.writeframes(samples[:, channel].astype("<i2").tobytes())


if __name__ == "__main__":
    main()
