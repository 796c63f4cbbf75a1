/** What the API answers, as `/openapi.json` describes it; only what the screens read. */

/** `GET /calls`, `GET /calls/{call_id}`. */
export interface Call {
  readonly call_id: string;
  readonly status: string;
  readonly direction: "inbound" | "outbound";
  readonly from: string;
  readonly to: string;
  readonly duration: number;
  readonly telephony_call_id?: string;
  readonly bot?: string;
  readonly started_at: string;
  readonly answered_at?: string;
  readonly ended_at?: string;
  readonly hangup_cause?: string;
  readonly hangup_reason?: string;
  readonly hangup_cause_txt?: string;
  readonly disconnected_by?: string;
  readonly custom_params?: Record<string, string>;
  readonly recording_url?: string;
  readonly full_recording_url?: string;
  readonly transfer_to?: string;
  readonly transfer_status?: string;
}

/** A call in `GET /calls`, with what only the list tells. */
export interface CallRow extends Call {
  readonly cause_class?: string;
  /** The median of the bot's response times. */
  readonly response_ms?: number;
  readonly fields_state?: "absent" | "live" | "final" | "failed";
  /** Something that the bot said was not heard, or not to its end. */
  readonly has_unheard: boolean;
}

/** `GET /bots`. */
export interface Bot {
  readonly name: string;
  readonly kind: "built-in" | "remote";
  readonly display_name?: string;
  readonly origin?: string;
  readonly dialect?: string;
  readonly audio?: { readonly encoding: string; readonly sample_rate: number; readonly frame_ms: number };
}

/** `GET /numbers`. */
export interface TelephoneNumber {
  readonly number: string;
  readonly bot?: string;
  readonly flow?: string;
  readonly extension?: string;
  readonly config_api?: string;
  readonly fallback: string;
  readonly country?: string;
  readonly early_media: boolean;
  readonly callbacks?: string;
}

/** `GET /trunks`. */
export interface Trunk {
  readonly name: string;
  readonly accept_from: readonly string[];
  readonly host?: string;
  readonly allow: readonly string[];
  readonly caller_ids: readonly string[];
  readonly limits: { readonly calls: number; readonly per_minute: number; readonly max_duration_s: number };
  readonly line?: TrunkLine;
  readonly country?: string;
}

export interface TrunkLine {
  readonly reach: "up" | "down" | "unknown";
  readonly since_ms: number;
  readonly registration?: { readonly state: string; readonly sip_status?: number; readonly since_ms: number };
  readonly target?: string;
  readonly trouble?: string;
  /** What is wrong and what to look at. */
  readonly advice?: string;
}

/** `GET /extensions`. */
export interface Extension {
  readonly number: string;
  readonly name?: string;
  readonly allow: readonly string[];
  readonly caller_id?: string;
  readonly max_contacts: number;
  readonly registered: number;
}

/** `GET /callbacks`. */
export interface Callback {
  readonly event_id: string;
  readonly call_id: string;
  /** What becomes of a call, to its owner; or what came of it, from its agent. */
  readonly kind: "callback" | "webhook";
  readonly event: string;
  readonly receiver: string;
  readonly state: "pending" | "delivered" | "dead";
  readonly attempts: number;
  readonly timestamp: string;
  readonly last_attempt_at?: string;
  readonly next_attempt_at?: string;
  readonly last_status?: number;
  readonly last_error?: string;
}

/** A list that comes whole. */
export interface List<T> {
  readonly data: readonly T[];
}

/** `GET /overview`. */
export interface Overview {
  readonly at: string;
  readonly attention: readonly Attention[];
  readonly calls_up: number;
  readonly calls_max: number;
  readonly minutes: readonly CallSlot[];
  readonly hours: readonly CallSlot[];
  readonly ends: readonly {
    readonly status: string;
    readonly class: string;
    readonly reason: string;
    readonly calls: number;
  }[];
  readonly response?: ResponseSpread;
  readonly bots: readonly BotDay[];
  readonly trunks: { readonly up: number; readonly down: number; readonly unknown: number };
  readonly deliveries: { readonly pending: number; readonly dead: number };
}

export interface Attention {
  readonly severity: "problem" | "warning";
  readonly code: string;
  readonly subject?: string;
  readonly detail: string;
  readonly to_do: string;
  readonly screen?: string;
}

export interface CallSlot {
  readonly at: string;
  readonly up: number;
  readonly completed: number;
  readonly unanswered: number;
  readonly failed: number;
}

export interface ResponseSpread {
  readonly calls: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
}

export interface BotDay {
  readonly name: string;
  readonly calls: number;
  readonly failed: number;
  readonly last_failure?: string;
  readonly last_call_at: string;
  readonly response?: ResponseSpread;
}

/** `GET /live`. */
export interface LiveCall {
  readonly call_id: string;
  readonly status: string;
  readonly direction: "inbound" | "outbound";
  readonly from: string;
  readonly to: string;
  readonly telephony_call_id?: string;
  readonly bot?: string;
  readonly phone_dialect: string;
  readonly bot_dialect: string;
  readonly started_at: string;
  readonly answered_at?: string;
  readonly response_ms?: number;
  readonly recording: boolean;
  readonly transfers: number;
}

/** `GET /extractions`. */
export interface Extraction {
  readonly call_id: string;
  readonly state: "pending" | "done" | "dead";
  readonly attempts: number;
  readonly last_error?: string;
  readonly last_attempt_at?: string;
  readonly next_attempt_at?: string;
}
