import { beforeEach, describe, expect, test, vi } from "vitest";
import { Later } from "../lib/later";
import type { TalkCall as Call, Wish } from "./call.svelte";

/** What a test answers when it wants to: the audio's two worklets, and the question for the microphone. */
const audio = { line: new Later(), source: new Later() };
vi.mock("./line", () => ({ Line: { open: () => audio.line.promise } }));
const microphone = vi.hoisted(() => vi.fn(() => audio.source.promise));
vi.mock("./sources", () => ({ microphone }));
vi.stubGlobal("location", { href: "http://127.0.0.1:8080/", protocol: "http:", hash: "", pathname: "/" });
vi.stubGlobal("addEventListener", () => {});
vi.stubGlobal("window", { isSecureContext: true });
const { TalkCall } = await import("./call.svelte");

const wish: Wish = { bot: "echo", rate: 16_000, source: "microphone", isCleaned: true };
const line = () => ({ mute: vi.fn(), from: vi.fn(), close: vi.fn(async () => {}), volume: 0 });
const source = () => ({ stop: vi.fn() });
const sockets: FakeSocket[] = [];
const contexts: { close: () => Promise<void> }[] = [];

class FakeSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  readyState = FakeSocket.CONNECTING;
  onopen: (() => void) | undefined;
  onclose: ((event: { code: number }) => void) | undefined;
  readonly send = vi.fn();
  constructor() {
    sockets.push(this);
  }
  close(): void {
    this.readyState = 3;
    this.onclose?.({ code: 1006 });
  }
}
class FakeContext {
  readonly close = vi.fn(async () => {});
  constructor() {
    contexts.push(this);
  }
}

beforeEach(() => {
  audio.line = new Later();
  audio.source = new Later();
  sockets.length = 0;
  contexts.length = 0;
  microphone.mockClear();
});
vi.stubGlobal("AudioContext", FakeContext);
vi.stubGlobal("WebSocket", FakeSocket);

describe("a call that opens", () => {
  test("is placed when the microphone is allowed", async () => {
    const call = new TalkCall();
    const dialling = call.dial(wish);
    const heard = line();
    audio.line.resolve(heard);
    audio.source.resolve(source());
    await dialling;
    expect([call.stage, sockets.length, heard.from.mock.calls.length]).toEqual(["dialling", 1, 1]);
  });

  for (const [how, end] of [
    ["hung up", (call: Call) => call.hangUp()],
    ["left with its screen", (call: Call) => call.destroy()],
  ] as const) {
    test(`is not placed when it is ${how} before the microphone is allowed, which is given back`, async () => {
      const call = new TalkCall();
      const dialling = call.dial(wish);
      audio.line.resolve(line());
      await vi.waitFor(() => expect(microphone).toHaveBeenCalled());
      end(call);
      const allowed = source();
      audio.source.resolve(allowed);
      await dialling;
      expect(sockets).toEqual([]);
      expect(allowed.stop).toHaveBeenCalledOnce();
      expect(contexts[0]?.close).toHaveBeenCalledOnce();
    });

    test(`asks for no microphone when it is ${how} before`, async () => {
      const call = new TalkCall();
      const dialling = call.dial(wish);
      end(call);
      audio.line.resolve(line());
      await dialling;
      expect(microphone).not.toHaveBeenCalled();
      expect(sockets).toEqual([]);
      expect(contexts[0]?.close).toHaveBeenCalledOnce();
    });
  }

  test("is over at once when it is hung up, says no trouble, and another one can be dialled", async () => {
    const call = new TalkCall();
    const first = call.dial(wish);
    audio.line.resolve(line());
    await vi.waitFor(() => expect(microphone).toHaveBeenCalled());
    call.hangUp();
    expect([call.stage, call.isUp]).toEqual(["idle", false]);
    expect(call.endedAt).toBeGreaterThanOrEqual(call.startedAt);
    const refused = audio.source;
    audio.source = new Later();
    const second = call.dial(wish);
    refused.reject(new DOMException("", "NotAllowedError"));
    await first;
    expect([call.stage, call.trouble, sockets.length]).toEqual(["opening", undefined, 0]);
    audio.source.resolve(source());
    await second;
    expect([call.stage, sockets.length]).toEqual(["dialling", 1]);
  });

  test("is not placed when it is hung up before the server answers", async () => {
    const call = new TalkCall();
    const dialling = call.dial(wish);
    const heard = line();
    audio.line.resolve(heard);
    audio.source.resolve(source());
    await dialling;
    call.hangUp();
    await vi.waitFor(() => expect(heard.close).toHaveBeenCalled());
    expect([call.stage, call.trouble, sockets[0]?.readyState]).toEqual(["ended", undefined, 3]);
    expect(sockets[0]?.send).not.toHaveBeenCalled();
  });

  test("says why it cannot be placed without a microphone", async () => {
    const call = new TalkCall();
    const dialling = call.dial(wish);
    audio.line.resolve(line());
    audio.source.reject(new DOMException("", "NotAllowedError"));
    await dialling;
    expect(call.stage).toBe("idle");
    expect(call.endedAt).toBeGreaterThanOrEqual(call.startedAt);
    expect(call.trouble).toContain("not allowed");
    expect(contexts[0]?.close).toHaveBeenCalledOnce();
  });
});

describe("a call that is hung up", () => {
  async function talking(call: Call) {
    const dialling = call.dial(wish);
    const heard = line();
    audio.line.resolve(heard);
    audio.source.resolve(source());
    await dialling;
    const socket = sockets.at(-1);
    if (!socket) throw new Error("nothing was dialled");
    socket.readyState = FakeSocket.OPEN;
    socket.onopen?.();
    return { heard, socket };
  }

  test("is over at once, gives the microphone back, and the server may close when it likes", async () => {
    const call = new TalkCall();
    const { heard, socket } = await talking(call);
    call.hangUp();
    expect([call.stage, socket.readyState]).toEqual(["ended", FakeSocket.OPEN]);
    expect(heard.close).toHaveBeenCalledOnce();
    expect(socket.send).toHaveBeenLastCalledWith(expect.stringContaining('"stop"'));
    const endedAt = call.endedAt;
    socket.onclose?.({ code: 1000 });
    await vi.waitFor(() => expect(call.entries.at(-1)?.text).toContain("Closed with 1000"));
    expect([call.stage, call.endedAt, call.trouble]).toEqual(["ended", endedAt, undefined]);
  });

  test("leaves the next one alone", async () => {
    const call = new TalkCall();
    const { socket: first } = await talking(call);
    call.hangUp();
    audio.line = new Later();
    audio.source = new Later();
    const { heard, socket } = await talking(call);
    first.onclose?.({ code: 1000 });
    expect(call.stage).toBe("talking");
    expect(heard.close).not.toHaveBeenCalled();
    call.hangUp();
    expect(call.stage).toBe("ended");
    expect(socket.send).toHaveBeenLastCalledWith(expect.stringContaining('"stop"'));
  });
});
