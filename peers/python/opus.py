"""Opus for the Python peers, by libopus (in PyAV's wheel): mono samples at 48 kHz to packets of 20 ms and back."""

import av
import numpy as np

RATE, FRAME = 48000, 960


class Opus:
    """Both ways of one call."""

    def __init__(self):
        self.encoder = av.CodecContext.create("libopus", "w")
        self.encoder.sample_rate, self.encoder.layout, self.encoder.format = RATE, "mono", "s16"
        self.encoder.bit_rate = 64000
        self.encoder.options = {"application": "voip", "frame_duration": "20"}
        self.decoder = av.CodecContext.create("libopus", "r")
        self.decoder.sample_rate, self.decoder.layout = RATE, "mono"
        self.waiting, self.pts = np.zeros(0, "<i2"), 0

    def encode(self, samples):
        """The packets that these samples complete."""
        self.waiting = np.concatenate([self.waiting, samples])
        out = []
        while len(self.waiting) >= FRAME:
            frame = av.AudioFrame.from_ndarray(self.waiting[:FRAME].reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts, self.waiting = RATE, self.pts, self.waiting[FRAME:]
            self.pts += FRAME
            out += [bytes(packet) for packet in self.encoder.encode(frame)]
        return out

    def decode(self, packet):
        """The samples of one packet; raises av.error.FFmpegError for none."""
        frames = self.decoder.decode(av.Packet(packet))
        pieces = [f.to_ndarray().reshape(-1) for f in frames]
        x = np.concatenate(pieces) if pieces else np.zeros(0, "<i2")
        return x if x.dtype == np.int16 else np.clip(np.rint(x * 32768), -32768, 32767).astype("<i2")
