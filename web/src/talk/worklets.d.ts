/** What a worklet's global scope has beyond a page's (Web Audio API §1.32). */
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
  constructor(options?: AudioWorkletNodeOptions);
}

declare function registerProcessor(
  name: string,
  processor: new (options: AudioWorkletNodeOptions) => AudioWorkletProcessor,
): void;

/** Samples per second of the context. */
declare const sampleRate: number;
