/** Why calls end, in words: what a reason means, and what somebody can do about it. The words of `docs/records.md`. */

interface Told {
  /** A sentence without a full stop. */
  readonly says: string;
  /** What it means, or what to look at. */
  readonly means: string;
}

const reasons: Readonly<Record<string, Told>> = {
  caller_hung_up: { says: "The caller hung up", means: "The normal end of a call." },
  bot_hung_up: { says: "The bot hung up", means: "The bot said its last word and ended the call." },
  agent_hung_up: { says: "Whoever took the call hung up", means: "The normal end of a transferred call." },
  asked: {
    says: "Ended by an operator",
    means: "Somebody ended it through the API, the command line or this dashboard.",
  },
  transferred: {
    says: "Connected by the caller's own carrier",
    means: "The caller's own carrier connected it with whom the call was given to (REFER).",
  },
  canceled: {
    says: "The caller gave up before the answer",
    means: "It rang too long for the caller, or was a mistake.",
  },
  no_ack: {
    says: "The phone never confirmed our answer",
    means: "Our 200 OK or its ACK is lost on the way: look at NAT, firewall and `sip.external_ip`.",
  },
  media_timeout: {
    says: "No audio came from the phone for too long",
    means: "The phone is gone, or its RTP does not reach us: look at NAT and firewall for the RTP ports.",
  },
  nobody_spoke: {
    says: "Nobody said a word",
    means: "Neither the caller nor the agent spoke for as long as the agent's limit allows.",
  },
  session_expired: {
    says: "The phone lost the call",
    means: "It neither refreshed its session nor answered our refresh (RFC 4028).",
  },
  unknown_number: {
    says: "The number leads nowhere",
    means: "No entry of `[[numbers]]` fits it, or the carrier does not know it.",
  },
  no_common_codec: {
    says: "Phone and gateway share no codec",
    means: "Compare `sip.codecs` with what the phone offers.",
  },
  srtp_required: {
    says: "The phone sends its audio in the clear",
    means: "`sip.srtp` requires encryption: switch it on at the phone.",
  },
  no_common_srtp: {
    says: "Phone and gateway share no encryption",
    means: "The phone insists on a suite that we do not have.",
  },
  bad_offer: {
    says: "The phone's messages could not be understood",
    means: "Its SDP is damaged or empty: the SIP ladder shows where.",
  },
  busy: { says: "The phone was busy", means: "Try again later." },
  declined: {
    says: "The phone declined the call",
    means: "Somebody pressed the red button, or it is set so.",
  },
  unanswered: { says: "Nobody answered in time", means: "It rang for as long as the ring time allows." },
  not_connected: {
    says: "The carrier did not connect the call",
    means: "Its Q.850 cause and SIP status say more.",
  },
  carrier_unreachable: {
    says: "The carrier cannot be reached",
    means: "It answers nothing: look at the trunk's state and the network.",
  },
  no_route: {
    says: "No trunk may carry this call",
    means: "No trunk `allow`s the number, and no phone is registered under it.",
  },
  vendor_reset: { says: "The vendor's connection broke", means: "Its WebSocket ended without a goodbye." },
  vendor_silent: { says: "The vendor never began a call", means: "It connected and sent no start." },
  bad_start: {
    says: "The vendor's start was not understood",
    means: "The log says what was wrong with its first message.",
  },
  config_api_unreachable: {
    says: "The CONFIG_API cannot be reached",
    means: "Nobody answers at its address.",
  },
  config_api_timeout: { says: "The CONFIG_API took too long", means: "It has 5 seconds." },
  config_api_status: {
    says: "The CONFIG_API refused",
    means: "It answered with another HTTP status than 200.",
  },
  config_api_too_large: { says: "The CONFIG_API answered too much", means: "An answer has at most 64 KiB." },
  config_api_bad_answer: {
    says: "The CONFIG_API named no bot",
    means: "Its answer names none that we can reach.",
  },
  transfer_failed: {
    says: "Nobody took the transfer",
    means: "No destination answered: the legs of the transfer say why.",
  },
  agent_lost: {
    says: "Whoever took the call fell silent",
    means: "No audio came from that phone for too long.",
  },
  refused: {
    says: "The bot's address refuses connections",
    means: "The bot is not running there, or a firewall is in between.",
  },
  dns: { says: "The bot's name cannot be resolved", means: "Look for a slip in its URL." },
  unauthorized: {
    says: "The bot refused our credentials",
    means: "It answered 401 or 403: look at the bot's headers or key.",
  },
  http_status: {
    says: "The bot answered with another HTTP status",
    means: "It did not open a WebSocket: is the path right?",
  },
  forbidden_address: {
    says: "The bot's address is not allowed",
    means: "It came from outside and leads into a private network.",
  },
  tls: {
    says: "No secure connection to the bot",
    means: "Its certificate is wrong, has expired, or is not trusted.",
  },
  no_handshake: {
    says: "The bot did not finish the handshake",
    means: "It took longer than 5 seconds, or an engine said nothing for 4.",
  },
  no_answer: {
    says: "The bot let it ring too long",
    means: "Bots of this dialect answer themselves: it did not.",
  },
  stalled: { says: "The bot stalled", means: "It read nothing for 5 seconds, or answered no ping for 25." },
  reset: { says: "The bot's connection broke", means: "Its process ended, or the network failed." },
  closed_with_error: { says: "The bot closed with an error", means: "Its WebSocket close code is not 1000." },
  flooded: {
    says: "The bot sent more than anybody can hear",
    means: "It has to wait for playback, or clear first.",
  },
  max_duration: { says: "The call lasted as long as calls may", means: "The limit is in the configuration." },
  over_capacity: { says: "Too many calls were up", means: "The gateway refused it to keep the others well." },
  storage_behind: {
    says: "The database did not keep up",
    means: "The disk or the database is too slow for the calls that come.",
  },
  agent_spent: {
    says: "The agent's seconds of the day are spent",
    means: "Raise its limit, or wait for tomorrow.",
  },
  drained: { says: "The gateway was stopped", means: "The call was up when the time to drain was over." },
  restart: { says: "The gateway ended unexpectedly", means: "What was durable until then is kept." },
  internal: { says: "Something of ours failed", means: "The log says what: please report it." },
};

const classes: Readonly<Record<string, string>> = {
  completed: "Nothing is wrong",
  caller: "The phone's side",
  bot: "The bot's side",
  upstream: "The carrier, the vendor or the CONFIG_API",
  us: "This gateway",
};

/** The classes of causes, for filters. */
export const causeClasses: readonly { value: string; text: string }[] = Object.entries(classes).map(
  ([value, text]) => ({ value, text }),
);

/** Who has to look into it. */
export const classText = (word: string): string => classes[word] ?? word;

/** A reason in words; one that is not known here as it stands. */
export function reasonText(word: string | undefined): string {
  if (word === undefined) return "";
  return reasons[word]?.says ?? word.replaceAll("_", " ");
}

/** What a reason means. */
export const reasonMeaning = (word: string): string | undefined => reasons[word]?.means;

/** Every reason that is known here. */
export const knownReasons = (): string[] => Object.keys(reasons);
