/** What went wrong, in words, and what to do about it. */

/** A WebSocket's close code (RFC 6455 §7.4.1). */
export function closeText(code: number): string {
  switch (code) {
    case 1000:
      return "the call is over";
    case 1001:
      return "the server is going away";
    case 1002:
      return "the server found a message that breaks the protocol";
    case 1003:
      return "the server got a kind of message that it does not take";
    case 1005:
      return "closed without a reason";
    case 1006:
      return "the connection broke, or was never made";
    case 1008:
      return "the server does not allow it";
    case 1009:
      return "a message was too long";
    case 1011:
      return "the server met an error of its own";
    case 1012:
    case 1013:
      return "the server is being restarted, or has too much to do: try again in a moment";
    default:
      return `closed with code ${code}`;
  }
}

/** Why there is no microphone. */
export function microphoneText(error: unknown, isSecure: boolean): string {
  if (!isSecure) {
    return "Browsers give a microphone only to pages of this machine (localhost, 127.0.0.1) or over HTTPS. Open this page by HTTPS, or talk with the tones below.";
  }
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The microphone is not allowed for this page. Press the sign beside the address, allow the microphone, and try again; or talk with the tones below.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "There is no microphone on this machine. Connect one and try again, or talk with the tones below.";
    case "NotReadableError":
    case "AbortError":
      return "Another program has the microphone, or the system keeps it back. Close that program and try again.";
    default:
      return "The microphone could not be opened. Try again, or talk with the tones below.";
  }
}

/** The keys of a telephone, and what presses them on a keyboard. */
export function keyOf(key: string): string | undefined {
  const upper = key.toUpperCase();
  return /^[0-9*#]$/.test(key) || /^[A-D]$/.test(upper) ? upper : undefined;
}
