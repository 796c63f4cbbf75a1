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
