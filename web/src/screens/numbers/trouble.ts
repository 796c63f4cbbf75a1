/** What is wrong with a line to a carrier, in words, with what to look at. */
import type { TrunkLine } from "../../api/types";

/** A sentence; undefined where all is well. */
export function lineTrouble(line: TrunkLine | undefined): string | undefined {
  if (!line) return undefined;
  const { registration } = line;
  if (registration?.state === "failed") {
    const status = registration.sip_status;
    if (status === undefined) return "Nobody answers our registration: look at host, port and firewall.";
    if (status === 401 || status === 403 || status === 407) {
      return `The carrier refuses our registration (${status}): look at username and password.`;
    }
    if (status === 404) return "The carrier does not know this account (404): look at username.";
    return `The carrier refuses our registration (${status}).`;
  }
  if (line.trouble) return `${line.trouble.charAt(0).toUpperCase()}${line.trouble.slice(1)}`;
  if (line.reach === "down") return "The carrier does not answer: look at host, port and firewall.";
  return undefined;
}
