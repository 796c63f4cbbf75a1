/**
 * The audio of one call in the browser: a source into 20 ms frames, and what the server sends into the loudspeaker. It
 * knows no socket.
 */
import type { Captured, EndOptions, PlaybackOrder, Played } from "./audio.worklet";
import workletUrl from "./audio.worklet.ts?worker&url";
import type { Source } from "./sources";

export interface LineEvents {
  /** A frame of the caller, every 20 ms. */
  readonly captured?: (captured: Captured) => void;
  readonly played: (played: Played) => void;
}

export class Line {
  readonly context: AudioContext;
  readonly #playback: AudioWorkletNode;
  readonly #volume: GainNode;
  readonly #capture: AudioWorkletNode | undefined;
  #source: Source | undefined;

  private constructor(context: AudioContext, options: EndOptions, events: LineEvents) {
    this.context = context;
    this.#playback = new AudioWorkletNode(context, "playback", {
      numberOfInputs: 0,
      outputChannelCount: [options.channels],
      processorOptions: options,
    });
    this.#playback.port.onmessage = ({ data }: MessageEvent<Played>) => events.played(data);
    this.#volume = context.createGain();
    this.#playback.connect(this.#volume).connect(context.destination);
    const { captured } = events;
    if (captured) {
      this.#capture = new AudioWorkletNode(context, "capture", {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit",
        processorOptions: options,
      });
      this.#capture.port.onmessage = ({ data }: MessageEvent<Captured>) => captured(data);
    }
  }

  /** Makes one; call it when somebody has pressed something, or the browser keeps it silent. */
  static async open(context: AudioContext, options: EndOptions, events: LineEvents): Promise<Line> {
    await context.audioWorklet.addModule(workletUrl);
    await context.resume();
    return new Line(context, options, events);
  }

  /** Has the caller be this source from here on. */
  from(source: Source): void {
    this.#source?.stop();
    this.#source = source;
    if (this.#capture) source.node.connect(this.#capture);
  }

  /** A piece for each channel. */
  play(pcm: Int16Array<ArrayBuffer>[]): void {
    this.#order(
      { pcm },
      pcm.map((channel) => channel.buffer),
    );
  }

  mark(mark: string): void {
    this.#order({ mark });
  }

  clear(): void {
    this.#order({ clear: true });
  }

  mute(isMuted: boolean): void {
    this.#capture?.port.postMessage({ isMuted });
  }

  /** 0 to 1. */
  set volume(volume: number) {
    this.#volume.gain.setTargetAtTime(volume, this.context.currentTime, 0.01);
  }

  async close(): Promise<void> {
    this.#source?.stop();
    this.#source = undefined;
    if (this.context.state !== "closed") await this.context.close();
  }

  #order(order: PlaybackOrder, transfer: Transferable[] = []): void {
    this.#playback.port.postMessage(order, transfer);
  }
}
