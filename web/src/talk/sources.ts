/** What the caller says: a microphone, tones that are switched on and off like a sentence, or a file. */

export type SourceKind = "microphone" | "tones" | "file";

export interface Source {
  readonly node: AudioNode;
  /** Gives the microphone back, or stops the sound. */
  stop(): void;
}

/** Opens the microphone; `isCleaned` has the browser take out echo and noise. */
export async function microphone(context: AudioContext, isCleaned: boolean): Promise<Source> {
  if (!navigator.mediaDevices) throw new DOMException("no microphone here", "NotFoundError");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: {
      channelCount: 1,
      echoCancellation: isCleaned,
      noiseSuppression: isCleaned,
      autoGainControl: isCleaned,
    },
  });
  const node = context.createMediaStreamSource(stream);
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
    node.disconnect();
  };
  return { node, stop };
}

/** A second of sound and two of silence, over and over: a caller who speaks and waits for an answer. */
export function tones(context: AudioContext): Source {
  const rate = context.sampleRate;
  const buffer = context.createBuffer(1, rate * 3, rate);
  const samples = buffer.getChannelData(0);
  for (let at = 0; at < rate; at++) {
    const time = at / rate;
    const swell = Math.min(1, time * 50, (1 - time) * 50) * (0.75 + 0.25 * Math.sin(2 * Math.PI * 4 * time));
    samples[at] = 0.35 * swell * Math.sin(2 * Math.PI * 440 * time);
  }
  return sounding(context, buffer, true);
}

/** Throws what the browser says of a file that it cannot read. */
export async function file(context: AudioContext, bytes: ArrayBuffer): Promise<Source> {
  return sounding(context, await context.decodeAudioData(bytes), false);
}

function sounding(context: AudioContext, buffer: AudioBuffer, loop: boolean): Source {
  const node = context.createBufferSource();
  node.buffer = buffer;
  node.loop = loop;
  node.start();
  const stop = () => {
    node.stop();
    node.disconnect();
  };
  return { node, stop };
}
